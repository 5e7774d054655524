//! Why Kafka cannot be read, for whoever asks whether streams are served.

use parking_lot::Mutex;

/// The last fault that Kafka's client told, until Kafka answers again.
#[derive(Debug, Default)]
pub struct KafkaHealth {
    fault: Mutex<Option<String>>,
}

impl KafkaHealth {
    /// Kafka's client told a fault.
    pub fn report(&self, fault: String) {
        *self.fault.lock() = Some(fault);
    }

    /// The same for a fault that is the consequence of others (no broker is left): it hides none of them.
    pub fn report_consequence(&self, fault: String) {
        self.fault.lock().get_or_insert(fault);
    }

    /// Kafka has answered.
    pub fn clear(&self) {
        *self.fault.lock() = None;
    }

    /// The fault, if Kafka has not answered since.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        self.fault.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::KafkaHealth;

    #[test]
    fn the_cause_is_told_and_not_its_consequence() {
        let health = KafkaHealth::default();
        health.report_consequence("1/1 brokers are down".to_owned());
        assert_eq!(health.fault().as_deref(), Some("1/1 brokers are down"));
        health.report("certificate verify failed".to_owned());
        health.report_consequence("1/1 brokers are down".to_owned());
        assert_eq!(health.fault().as_deref(), Some("certificate verify failed"));
        health.clear();
        assert_eq!(health.fault(), None);
    }
}
