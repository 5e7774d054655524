use super::lines::Line;
use super::*;

const SECOND: Duration = Duration::from_secs(1);
const REFUSED: &str = "BrokerTransportFailure: kafka1:9092/1: \
    Connect to ipv4#10.0.0.1:9092 failed: Connection refused";

fn state() -> State {
    let health = KafkaHealth::new(Arc::default(), Duration::from_secs(10));
    health.state.into_inner()
}

/// All lines of `seconds` updates, one a second. `act` changes the state before each.
fn lines_of(
    state: &mut State,
    from: Instant,
    seconds: u32,
    mut act: impl FnMut(&mut State, u32, Instant),
) -> Vec<Line> {
    let look = |second| {
        let now = from + SECOND * second;
        act(state, second, now);
        state.log_lines(now)
    };
    (0..seconds).flat_map(look).collect()
}

#[test]
fn the_cause_is_named_and_not_its_consequence() {
    let health = KafkaHealth::default();
    health.report_lost("1/1 brokers are down".to_owned());
    assert_eq!(health.fault().as_deref(), Some("1/1 brokers are down"));
    health.report(REFUSED.to_owned());
    health.report_lost("1/1 brokers are down".to_owned());
    assert_eq!(health.fault().as_deref(), Some(REFUSED));
}

#[test]
fn a_name_that_does_not_resolve_stays_a_fault_while_others_answer() {
    let mut state = state();
    let now = state.begun;
    let fault = "Resolve: ssl://nowhere:9093/2: \
        Failed to resolve 'nowhere:9093': Name or service not known";
    state.report(fault.to_owned(), now);
    state.report(REFUSED.to_owned(), now);
    state.answer(now + SECOND, SystemTime::now());
    assert_eq!(
        state.fault(now + 2 * SECOND).unwrap(),
        format!("{REFUSED}; {fault}")
    );
    state.report(fault.to_owned(), now + limits::KAFKA_FAULT_TTL);
    assert_eq!(
        state.fault(now + limits::KAFKA_FAULT_TTL).as_deref(),
        Some(fault),
        "faults that are not repeated expire"
    );
}

#[test]
fn faults_are_bounded_by_number() {
    let mut state = state();
    let now = state.begun;
    for broker in 0..1000 {
        state.report(
            format!("Resolve: kafka{broker}:9092/{broker}: Failed to resolve"),
            now,
        );
    }
    assert_eq!(
        (state.faults.len(), state.errors),
        (limits::KAFKA_FAULTS_MAX, 1000)
    );
}

#[test]
fn an_outage_is_logged_at_its_start_each_minute_and_at_its_end() {
    let mut state = state();
    let begin = state.begun;
    let lines = lines_of(&mut state, begin, 190, |state, second, now| match second {
        0..10 | 180.. => state.answer(now, SystemTime::now()),
        _ => {
            (0..38).for_each(|_| state.report(REFUSED.to_owned(), now));
            state.lose("no broker is left".to_owned(), now);
        }
    });
    let cause = REFUSED.to_owned();
    let still = |seconds, errors| Line::StillLost {
        seconds,
        errors,
        cause: cause.clone(),
    };
    let expected = [
        Line::Lost {
            cause: cause.clone(),
        },
        still(60, 60 * 39),
        still(120, 60 * 39),
        Line::Back {
            seconds: 170,
            errors: 49 * 39,
            losses: 1,
        },
    ];
    assert_eq!(lines, expected);
}

#[test]
fn silence_is_an_outage_too() {
    let mut state = state();
    let begin = state.begun;
    state.answer(begin, SystemTime::now());
    let last = begin + state.silence_max;
    assert_eq!(state.lost_since(last), None);
    assert_eq!(state.lost_since(last + SECOND), Some(begin));
    assert_eq!(
        state.log_lines(last + SECOND),
        [Line::Lost {
            cause: "it does not answer".to_owned()
        }]
    );
}

#[test]
fn errors_of_one_broker_of_several_are_a_line_a_minute() {
    let mut state = state();
    let begin = state.begun;
    let lines = lines_of(&mut state, begin, 100, |state, _, now| {
        state.answer(now, SystemTime::now());
        state.report(REFUSED.to_owned(), now);
    });
    let line = |errors| Line::Errors {
        errors,
        cause: REFUSED.to_owned(),
    };
    assert_eq!(lines, [line(3), line(60)]);
}

#[test]
fn a_broker_that_restarts_every_minute_for_an_hour_costs_few_lines() {
    let mut state = state();
    let begin = state.begun;
    let topic = Topic::from("eqiad.a");
    let lines = lines_of(&mut state, begin, 3600, |state, second, now| {
        if second % 60 < 5 {
            state.report(REFUSED.to_owned(), now);
            state.lose("no broker is left".to_owned(), now);
            state.topics.insert(topic.clone(), TopicTrouble::NoLeader);
        } else {
            state.answer(now, SystemTime::now());
        }
        if second % 60 == 10 {
            state.topics.remove(&topic);
        }
    });
    assert!((100..=130).contains(&lines.len()), "{}", lines.len());
    assert!(
        matches!(
            lines.last(),
            Some(Line::Back { .. } | Line::ReadableAgain { .. })
        ),
        "{:?}",
        lines.last()
    );
}

#[test]
fn unreadable_topics_are_a_line_for_each_reason_and_one_at_the_end() {
    let mut state = state();
    let begin = state.begun;
    state.answer(begin, SystemTime::now());
    let lines = lines_of(&mut state, begin, 3, |state, second, _| match second {
        0 => {
            state.topics.extend(
                (0..12).map(|n| (Topic::from(format!("a{n:02}")), TopicTrouble::DoesNotExist)),
            );
            state
                .topics
                .insert(Topic::from("b"), TopicTrouble::NotAuthorized);
        }
        1 => drop(state.topics.remove(&Topic::from("b"))),
        _ => {}
    });
    let twelve = "a00, a01, a02, a03, a04, a05, a06, a07, a08, a09 and 2 more".to_owned();
    let expected = [
        Line::Unreadable {
            reason: "does_not_exist",
            topics: twelve,
        },
        Line::Unreadable {
            reason: "not_authorized",
            topics: "b".to_owned(),
        },
        Line::ReadableAgain {
            topics: "b".to_owned(),
        },
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_topic_that_cannot_be_read_has_a_gauge_with_its_reason() {
    let metrics = Arc::new(Metrics::default());
    let health = KafkaHealth::new(Arc::clone(&metrics), SECOND);
    let (topic, other) = (Topic::from("a"), Topic::from("b"));
    health.set_topic(&topic, Some(TopicTrouble::NoLeader));
    health.set_topic(&topic, Some(TopicTrouble::DoesNotExist));
    health.set_topic(&other, Some(TopicTrouble::NotAuthorized));
    let gauges = |metrics: &Metrics| {
        let text = metrics.render();
        let of = |line: &&str| line.starts_with("eventstreams_topics_unavailable{");
        text.lines()
            .filter(of)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(health.topic(&topic), Some(TopicTrouble::DoesNotExist));
    health.retain_topics(|topic| *topic != other);
    assert_eq!(
        gauges(&metrics),
        ["eventstreams_topics_unavailable{topic=\"a\",reason=\"does_not_exist\"} 1"]
    );
    health.set_topic(&topic, None);
    assert_eq!(
        (
            health.topic(&topic),
            health.topics().len(),
            gauges(&metrics).len()
        ),
        (None, 0, 0)
    );
}

#[test]
fn connected_means_that_kafka_has_answered_and_is_not_lost() {
    let health = KafkaHealth::default();
    let shown = || {
        health.update_gauges();
        let text = health.metrics.render();
        let value = |name: &str| -> f64 {
            let value = text.lines().find_map(|line| line.strip_prefix(name));
            value.expect("a sample").parse().expect("a number")
        };
        (
            value("eventstreams_kafka_connected ") > 0.0,
            value("eventstreams_kafka_last_answer_timestamp_seconds ") > 1e9,
        )
    };
    assert_eq!(shown(), (false, false));
    health.answered();
    assert_eq!(shown(), (true, true));
    health.report(REFUSED.to_owned());
    assert_eq!(shown(), (true, true), "one broker of several");
    health.report_lost("no broker is left".to_owned());
    assert_eq!(shown(), (false, true));
    health.answered();
    assert_eq!(shown(), (true, true));
}
