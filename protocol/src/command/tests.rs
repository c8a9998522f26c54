//! Commands in both header forms: sound, odd and broken ones.

use super::*;
use proptest::prelude::*;

fn frame_of(form: u8, header: &[u8], body: &[u8]) -> Vec<u8> {
    let mut frame = ((4 + header.len() + body.len()) as u32).to_be_bytes().to_vec();
    frame.extend_from_slice(&(u32::from(form) << 24 | header.len() as u32).to_be_bytes());
    frame.extend_from_slice(header);
    frame.extend_from_slice(body);
    frame
}

/// Head values and fields in one line, the way the tables below spell them.
fn show(command: &Command<'_>) -> String {
    let fields: Vec<String> = command.fields.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let remark = command.remark.map_or_else(|| "-".to_owned(), |remark| remark.to_string());
    format!(
        "{} {} {} {} {} {remark} [{}]",
        command.code,
        command.language.name(),
        command.version,
        command.opaque,
        command.flag,
        fields.join(",")
    )
}

#[test]
fn json_headers_are_read_as_clients_write_them() {
    let check = |header: &str, want: &str| {
        let frame = frame_of(0, header.as_bytes(), b"body");
        let command = Command::decode(&frame).unwrap_or_else(|error| panic!("{header}: {error}"));
        assert_eq!(show(&command), want, "{header}");
        assert_eq!((command.body, command.form), (&b"body"[..], HeaderForm::Json));
    };
    check(
        r#"{"code":30,"extFields":{"topic":"T","queueId":"0"},"flag":0,"language":"JAVA","opaque":7,"serializeTypeCurrentRPC":"JSON","version":407}"#,
        "30 JAVA 407 7 0 - [topic=T,queueId=0]",
    );
    check("{}", "0 JAVA 0 0 0 - []");
    check(" {\n\"code\" : 34 ,\t\"opaque\":-2147483648 } \r\n", "34 JAVA 0 -2147483648 0 - []");
    check(r#"{"code":"11","language":"GO","version":"317","remark":null,"extFields":null}"#, "11 GO 317 0 0 - []");
    check(r#"{"code":1,"remark":"no \"x\" \u4e2d","flag":1}"#, "1 JAVA 0 0 1 no \"x\" 中 []");
    check(
        r#"{"extFields":{"a":3,"b":true,"c":null,"d":-1.5e3,"e":{"x":["}",1]},"f":[1,2],"g":""},"more":[{"a":{}}],"code":10}"#,
        r#"10 JAVA 0 0 0 - [a=3,b=true,d=-1.5e3,e={"x":["}",1]},f=[1,2],g=]"#,
    );
    check(
        r#"{"extFields":{"i":"TAGS\u0001a\u0002K\u0001\ud83d\ude00"}}"#,
        "0 JAVA 0 0 0 - [i=TAGS\u{1}a\u{2}K\u{1}😀]",
    );
    check("{\"extFields\":{\"i\":\"raw\u{1}a\u{2}\"}}", "0 JAVA 0 0 0 - [i=raw\u{1}a\u{2}]");
    check(r#"{"language":"COBOL","code":1}"#, "1 OTHER 0 0 0 - []");
}

#[test]
fn broken_json_headers_are_refused() {
    let check = |header: &[u8], problem: &str| {
        let frame = frame_of(0, header, b"");
        let error = Command::decode(&frame).expect_err("refused");
        assert!(error.to_string().contains(problem), "{error}: {header:?}");
    };
    check(b"", "ends too early");
    check(b"[]", "expected an object");
    check(b"{", "ends too early");
    check(br#"{"code":1"#, "ends too early");
    check(br#"{"code":1}x"#, "after the end");
    check(br#"{"code":x}"#, "unknown word");
    check(br#"{"code":}"#, "expected a value");
    check(br#"{"code":1.5}"#, "integer of 32 bits");
    check(br#"{"code":2147483648}"#, "integer of 32 bits");
    check(br#"{"code" 1}"#, "colon");
    check(br#"{"code":1 "flag":1}"#, "comma");
    check(br#"{code:1}"#, "member name");
    check(br#"{"a":"b"#, "without an end");
    check(br#"{"a":"\q"}"#, "escape");
    check(br#"{"a":"\u12"}"#, "escape");
    check(br#"{"extFields":"x"}"#, "not an object");
    check(br#"{"a":[[[["#, "ends too early");
}

#[test]
fn fields_beyond_the_inline_ones_are_kept_up_to_the_limit() {
    for (count, fits) in [(32, true), (33, true), (256, true), (257, false)] {
        let mut out = Vec::new();
        let fields = |writer: &mut FieldWriter<'_>| (0..count).for_each(|n| writer.i32(&format!("k{n}"), n));
        for form in [HeaderForm::Json, HeaderForm::Rocketmq] {
            out.clear();
            write_command(&mut out, &Head { form, ..Head::request(10, 1) }, fields, 0);
            match Command::decode(&out) {
                Ok(command) => {
                    assert!(fits);
                    assert_eq!(command.fields.len(), count as usize);
                    assert_eq!(
                        command.fields.get(&format!("k{}", count - 1)).as_deref(),
                        Some(&*(count - 1).to_string())
                    );
                    assert_eq!(command.fields.get("k999"), None);
                }
                Err(error) => assert!(!fits && error == FrameError::TooManyFields),
            }
        }
    }
}

#[test]
fn headers_over_the_limit_need_permission() {
    let mut out = Vec::new();
    let long = "x".repeat(HEADER_MAX);
    write_command(&mut out, &Head::request(10, 1), |fields| fields.str("i", &long), 0);
    assert!(matches!(Command::decode(&out), Err(FrameError::HeaderTooLong { max: HEADER_MAX, .. })));
    let command = Command::decode_with(&out, 2 * HEADER_MAX).expect("allowed");
    assert_eq!(command.fields.get("i").as_deref(), Some(&*long));
}

#[test]
fn the_last_of_duplicate_fields_counts_and_escaped_names_match() {
    let frame = frame_of(0, br#"{"extFields":{"a":"1","\u0061":"2"}}"#, b"");
    assert_eq!(Command::decode(&frame).expect("readable").fields.get("a").as_deref(), Some("2"));
    let frame = frame_of(0, b"{\"extFields\":{\"a\":\"\xffx\"}}", b"");
    assert_eq!(Command::decode(&frame).expect("readable").fields.get("a").as_deref(), Some("\u{fffd}x"));
}

/// The members and their order are those of fastjson 1.2.69 in RocketMQ 4.9.7.
#[test]
fn json_is_written_in_the_order_of_fastjson() {
    let mut out = Vec::new();
    let head = Head { remark: Some("a\"\n\u{1}中"), ..Head::reply(7, HeaderForm::Json, 0, None) };
    write_command(
        &mut out,
        &head,
        |fields| {
            fields.i64("offset", -12);
            fields.bool("changed", true);
        },
        3,
    );
    let header = r#"{"code":0,"extFields":{"offset":"-12","changed":"true"},"flag":1,"language":"JAVA","opaque":7,"remark":"a\"\n\u0001中","serializeTypeCurrentRPC":"JSON","version":407}"#;
    assert_eq!(out, frame_of(0, header.as_bytes(), b"...")[..8 + header.len()]);
    out.clear();
    write_command(&mut out, &Head::oneway(15, 1), |_| {}, 0);
    assert!(out.ends_with(
        br#"{"code":15,"flag":2,"language":"JAVA","opaque":1,"serializeTypeCurrentRPC":"JSON","version":407}"#
    ));
}

#[test]
fn the_binary_form_has_the_documented_bytes() {
    let mut out = Vec::new();
    let head =
        Head { form: HeaderForm::Rocketmq, remark: Some("no"), ..Head::reply(0x0102_0304, HeaderForm::Json, 17, None) };
    write_command(&mut out, &head, |fields| fields.i32("q", 3), 5);
    let mut want = vec![0, 0, 0, 39, 1, 0, 0, 30, 0, 17, 0, 0x01, 0x97, 1, 2, 3, 4, 0, 0, 0, 1, 0, 0, 0, 2, b'n', b'o'];
    want.extend_from_slice(&[0, 0, 0, 8, 0, 1, b'q', 0, 0, 0, 1, b'3']);
    want[3] = (want.len() - 4 + 5) as u8;
    want[7] = (want.len() - 8) as u8;
    assert_eq!(out, want);
    out.extend_from_slice(b"body!");
    let command = Command::decode(&out).expect("readable");
    assert_eq!(show(&command), "17 JAVA 407 16909060 1 no [q=3]");
    assert!(command.is_response() && !command.is_oneway());
    assert_eq!(command.body, b"body!");
}

#[test]
fn broken_binary_headers_are_refused() {
    let whole = {
        let mut header = vec![0, 10, 0, 1, 0x97, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8];
        header.extend_from_slice(&[0, 1, b'q', 0, 0, 0, 1, b'3']);
        header
    };
    assert!(Command::decode(&frame_of(1, &whole, b"")).is_ok());
    for cut in 0..whole.len() {
        assert!(Command::decode(&frame_of(1, &whole[..cut], b"")).is_err(), "{cut}");
    }
    for (at, byte) in [(13, 0x80), (17, 0x80), (20, 7), (20, 9), (21, 0x80), (24, 0x80), (27, 2)] {
        let mut damaged = whole.clone();
        damaged[at] = byte;
        assert!(Command::decode(&frame_of(1, &damaged, b"")).is_err(), "{at}");
    }
    // An empty value is none.
    let mut empty = whole;
    empty.truncate(21);
    empty.extend_from_slice(&[0, 1, b'q', 0, 0, 0, 0]);
    empty[20] = 7;
    assert_eq!(Command::decode(&frame_of(1, &empty, b"")).expect("readable").fields.len(), 0);
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        code in any::<i16>(), version in any::<i16>(), opaque in any::<i32>(), flag in any::<i32>(), language in 0u8..13,
        remark in prop::option::of(".{1,20}"), binary in any::<bool>(), body in any::<Vec<u8>>(),
        fields in prop::collection::vec((".{1,12}", ".{1,30}"), 0..40),
    ) {
        let form = if binary { HeaderForm::Rocketmq } else { HeaderForm::Json };
        let head = Head {
            code: i32::from(code), language: Language(language), version: i32::from(version), opaque, flag,
            remark: remark.as_deref(), form,
        };
        let mut out = b"before".to_vec();
        write_command(&mut out, &head, |writer| fields.iter().for_each(|(key, value)| writer.str(key, value)), body.len());
        out.extend_from_slice(&body);
        let frame = &out[6..];
        prop_assert_eq!(frame::frame_len(frame, frame::FRAME_MAX), Ok(Some(frame.len())));
        let command = Command::decode(frame).expect("readable");
        prop_assert_eq!((command.code, command.version), (head.code, head.version));
        prop_assert_eq!((command.opaque, command.flag, command.language), (opaque, flag, head.language));
        prop_assert_eq!(command.remark.map(|text| text.to_string()), remark);
        prop_assert_eq!((command.form, command.body), (form, &body[..]));
        let back: Vec<(String, String)> = command.fields.iter().map(|(k, v)| (k.into_owned(), v.into_owned())).collect();
        prop_assert_eq!(back, fields);
    }
}
