//! librdkafka pointers that free themselves, on every path.

use std::ffi::{CStr, CString, c_char};
use std::ptr::{self, NonNull};
use std::time::Duration;

use rdkafka::bindings as sys;
use rdkafka::error::KafkaError;
use rdkafka::types::{RDKafka, RDKafkaErrorCode, RDKafkaRespErr};

/// The range of a request's timeout, in milliseconds (`rd_kafka_AdminOptions_init`).
const TIMEOUT_MS: std::ops::RangeInclusive<u128> = 1..=3_600_000;

/// Names of topics.
pub(crate) struct TopicNames(NonNull<sys::rd_kafka_TopicCollection_t>);

impl TopicNames {
    pub(crate) fn new(names: &[CString]) -> Self {
        let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
        // SAFETY: `pointers` has the given length, and each is a C string that `names` keeps alive.
        // librdkafka copies the strings. An empty list is never read.
        let pointer = unsafe {
            sys::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len())
        };
        Self(NonNull::new(pointer).expect("librdkafka aborts rather than fail to allocate"))
    }

    pub(crate) fn ptr(&self) -> *const sys::rd_kafka_TopicCollection_t {
        self.0.as_ptr()
    }
}

impl Drop for TopicNames {
    fn drop(&mut self) {
        // SAFETY: librdkafka created it for us, and it is freed only here.
        unsafe { sys::rd_kafka_TopicCollection_destroy(self.0.as_ptr()) };
    }
}

/// Options of one request.
pub(crate) struct Options(NonNull<sys::rd_kafka_AdminOptions_t>);

impl Options {
    pub(crate) fn new(
        client: *mut RDKafka,
        rights: bool,
        timeout: Duration,
    ) -> Result<Self, KafkaError> {
        let operation = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
        // SAFETY: the caller's client is alive, and the operation is one that librdkafka knows.
        let pointer = unsafe { sys::rd_kafka_AdminOptions_new(client, operation) };
        let options = Self(
            NonNull::new(pointer).ok_or(KafkaError::AdminOp(RDKafkaErrorCode::InvalidArgument))?,
        );
        let timeout_ms = milliseconds(timeout);
        // SAFETY: the options are alive; librdkafka writes no error text without a buffer.
        let code = unsafe {
            sys::rd_kafka_AdminOptions_set_request_timeout(
                options.0.as_ptr(),
                timeout_ms,
                ptr::null_mut(),
                0,
            )
        };
        if code != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Err(KafkaError::AdminOpCreation(format!(
                "a timeout of {timeout_ms} ms: {code:?}"
            )));
        }
        // SAFETY: the options are alive.
        let refused = unsafe {
            sys::rd_kafka_AdminOptions_set_include_authorized_operations(
                options.0.as_ptr(),
                i32::from(rights),
            )
        };
        match NonNull::new(refused) {
            None => Ok(options),
            Some(error) => Err(KafkaError::AdminOpCreation(Refusal(error).text())),
        }
    }

    pub(crate) fn ptr(&self) -> *const sys::rd_kafka_AdminOptions_t {
        self.0.as_ptr()
    }
}

impl Drop for Options {
    fn drop(&mut self) {
        // SAFETY: librdkafka created it for us, and it is freed only here.
        unsafe { sys::rd_kafka_AdminOptions_destroy(self.0.as_ptr()) };
    }
}

/// An error that librdkafka created for us.
struct Refusal(NonNull<sys::rd_kafka_error_t>);

impl Refusal {
    fn text(&self) -> String {
        // SAFETY: the error is alive.
        let text = unsafe { sys::rd_kafka_error_string(self.0.as_ptr()) };
        // SAFETY: librdkafka returns a C string, never NULL, which lives as long as the error.
        unsafe { CStr::from_ptr(text) }
            .to_string_lossy()
            .into_owned()
    }
}

impl Drop for Refusal {
    fn drop(&mut self) {
        // SAFETY: librdkafka created it for us, and it is freed only here.
        unsafe { sys::rd_kafka_error_destroy(self.0.as_ptr()) };
    }
}

/// Asks any node for the list of nodes and the one that accepts controller requests. Without an
/// answer in time nothing changes.
pub(crate) fn look_up_nodes(client: *mut RDKafka, timeout: Duration) {
    let mut metadata: *const sys::rd_kafka_metadata = ptr::null();
    // SAFETY: the caller's client is alive; no topic is named; the pointer is ours to write to.
    unsafe {
        sys::rd_kafka_metadata(
            client,
            0,
            ptr::null_mut(),
            &raw mut metadata,
            milliseconds(timeout),
        )
    };
    if !metadata.is_null() {
        // SAFETY: librdkafka created it for us, and it is freed only here.
        unsafe { sys::rd_kafka_metadata_destroy(metadata) };
    }
}

/// A timeout in the form of librdkafka.
fn milliseconds(timeout: Duration) -> i32 {
    let in_range = timeout
        .as_millis()
        .clamp(*TIMEOUT_MS.start(), *TIMEOUT_MS.end());
    i32::try_from(in_range).unwrap_or(i32::MAX)
}

/// A queue for one answer.
pub(crate) struct Queue(NonNull<sys::rd_kafka_queue_t>);

impl Queue {
    pub(crate) fn new(client: *mut RDKafka) -> Self {
        // SAFETY: the caller's client is alive.
        let pointer = unsafe { sys::rd_kafka_queue_new(client) };
        Self(NonNull::new(pointer).expect("librdkafka aborts rather than fail to allocate"))
    }

    pub(crate) fn ptr(&self) -> *mut sys::rd_kafka_queue_t {
        self.0.as_ptr()
    }

    /// The answer; `None` when it does not come in time.
    pub(crate) fn wait(&self, timeout: Duration) -> Option<Event> {
        let timeout_ms = milliseconds(timeout);
        // SAFETY: the queue is alive.
        let event = unsafe { sys::rd_kafka_queue_poll(self.0.as_ptr(), timeout_ms) };
        NonNull::new(event).map(Event)
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: librdkafka created it for us, and it is freed only here. An answer that
        // is still on its way has its own reference, and librdkafka drops it.
        unsafe { sys::rd_kafka_queue_destroy(self.0.as_ptr()) };
    }
}

/// An answer from a queue. Everything that is read from it lives as long as this.
pub(crate) struct Event(NonNull<sys::rd_kafka_event_t>);

impl Event {
    pub(crate) fn ptr(&self) -> *mut sys::rd_kafka_event_t {
        self.0.as_ptr()
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: librdkafka handed it to us, and it is freed only here.
        unsafe { sys::rd_kafka_event_destroy(self.0.as_ptr()) };
    }
}
