//! The label sets. Their values come from the configuration and from closed sets of words.

use metrics::Label;

/// A label set of the table.
pub trait Labels {
    /// The names of the labels with their values.
    fn labels(&self) -> Vec<Label>;
}

macro_rules! label_sets {
    ($($(#[$set_doc:meta])+ $set:ident { $($(#[$doc:meta])+ $label:ident: $type:ty,)+ })+) => {$(
        $(#[$set_doc])+
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $set {
            $($(#[$doc])+ pub $label: $type,)+
        }

        impl Labels for $set {
            fn labels(&self) -> Vec<Label> {
                vec![$(Label::new(stringify!($label), self.$label.clone())),+]
            }
        }
    )+};
}

label_sets! {
    /// A stream of the allowlist.
    StreamLabel {
        /// The stream's name; never an alias or text from a client.
        stream: String,
    }

    /// A topic of the configuration.
    TopicLabel {
        /// The topic's name.
        topic: String,
    }

    /// One of a closed set of reasons.
    ReasonLabel {
        /// The reason's word.
        reason: &'static str,
    }

    /// One of a closed set of kinds.
    KindLabel {
        /// The kind's word.
        kind: &'static str,
    }

    /// A stream and its owner.
    StreamOwnerLabel {
        /// The stream's name.
        stream: String,
        /// `owner` of its configuration; empty without one.
        owner: String,
    }

    /// A stream and one of its topics.
    StreamTopicLabel {
        /// The stream's name.
        stream: String,
        /// The topic's name.
        topic: String,
    }

    /// A topic of the configuration, and why it cannot be read.
    TopicReasonLabel {
        /// The topic's name.
        topic: String,
        /// The reason's word.
        reason: &'static str,
    }

    /// The running build.
    BuildLabel {
        /// The package's version.
        version: &'static str,
    }
}
