//! The locks of the model checker under the names of parking_lot's, with one more place where it
//! decides who goes on: behind each unlocking of a mutex. (Its own place is before that, where
//! nothing can happen that could not happen a step earlier.) What a thread does after it has
//! unlocked, without a lock, is then no part of the step any more: waiting on a `watch`, for
//! example.

use shuttle::sync::atomic::{AtomicBool, Ordering};
pub use shuttle_parking_lot_impl::{
    MappedRwLockReadGuard, MappedRwLockWriteGuard, RwLock, RwLockReadGuard,
    RwLockUpgradableReadGuard, RwLockWriteGuard, lock_api,
};

/// See the module.
#[derive(Debug)]
pub struct RawMutex(shuttle_parking_lot_impl::RawMutex);

// SAFETY: exclusive because the inner one is.
unsafe impl lock_api::RawMutex for RawMutex {
    #[expect(clippy::declare_interior_mutable_const, reason = "lock_api's way to an initial value")]
    const INIT: Self = Self(<shuttle_parking_lot_impl::RawMutex as lock_api::RawMutex>::INIT);

    type GuardMarker = <shuttle_parking_lot_impl::RawMutex as lock_api::RawMutex>::GuardMarker;

    fn lock(&self) {
        lock_api::RawMutex::lock(&self.0);
    }

    fn try_lock(&self) -> bool {
        lock_api::RawMutex::try_lock(&self.0)
    }

    unsafe fn unlock(&self) {
        // SAFETY: the caller holds the lock.
        unsafe { lock_api::RawMutex::unlock(&self.0) };
        AtomicBool::new(false).load(Ordering::SeqCst);
    }
}

/// A mutex.
pub type Mutex<T> = lock_api::Mutex<RawMutex, T>;

/// What its holder has.
pub type MutexGuard<'a, T> = lock_api::MutexGuard<'a, RawMutex, T>;

/// A part of it.
pub type MappedMutexGuard<'a, T> = lock_api::MappedMutexGuard<'a, RawMutex, T>;
