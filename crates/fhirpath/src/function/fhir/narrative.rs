//! `htmlChecks()`: whether a text is XHTML as a narrative may have it,
//! <https://hl7.org/fhir/R4/narrative.html#xhtml>.
//!
//! One well-formed `div`, made of the elements and attributes of chapters 7–11 (without 9.4) and 15
//! of HTML 4, `a` and `img`. That there is something in it to see is the question of
//! `htmlChecks2()`, which R5 made of the second half: R4 asks `htmlChecks()` for both, but two of
//! its own examples have an empty `div`, and the reference validator lets them pass. Which of the
//! rules is broken is not said: a function has one bit to answer with.

/// The namespace that the `div` must state.
const NAMESPACE: &str = "http://www.w3.org/1999/xhtml";

/// Elements nest at most so deep.
const DEPTH_MAX: usize = 256;

/// The elements that a narrative may have; the frequent ones come first, for a quick look.
const ELEMENTS: &[&str] = &[
    "td",
    "tr",
    "p",
    "b",
    "div",
    "br",
    "span",
    "li",
    "ul",
    "a",
    "abbr",
    "acronym",
    "address",
    "area",
    "bdo",
    "big",
    "blockquote",
    "caption",
    "center",
    "cite",
    "code",
    "col",
    "colgroup",
    "dd",
    "dfn",
    "dl",
    "dt",
    "em",
    "font",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "img",
    "kbd",
    "map",
    "ol",
    "pre",
    "q",
    "s",
    "samp",
    "small",
    "strike",
    "strong",
    "sub",
    "sup",
    "table",
    "tbody",
    "tfoot",
    "th",
    "thead",
    "tt",
    "u",
    "var",
];

/// The attributes that the elements may have; the frequent ones come first.
const ATTRIBUTES: &[&str] = &[
    "class",
    "style",
    "href",
    "colspan",
    "xmlns",
    "abbr",
    "accesskey",
    "align",
    "alt",
    "axis",
    "bgcolor",
    "border",
    "cellpadding",
    "cellspacing",
    "char",
    "charoff",
    "charset",
    "cite",
    "clear",
    "color",
    "compact",
    "coords",
    "datetime",
    "dir",
    "face",
    "frame",
    "headers",
    "height",
    "hreflang",
    "hspace",
    "id",
    "ismap",
    "lang",
    "longdesc",
    "name",
    "nohref",
    "noshade",
    "nowrap",
    "rel",
    "rev",
    "rowspan",
    "rules",
    "scope",
    "shape",
    "size",
    "space",
    "span",
    "src",
    "start",
    "summary",
    "tabindex",
    "target",
    "title",
    "type",
    "usemap",
    "valign",
    "value",
    "vspace",
    "width",
    "xml:base",
    "xml:lang",
    "xml:space",
];

/// The elements that never have content.
const EMPTY_ELEMENTS: &[&str] = &["br", "hr", "img", "col", "area"];

/// `htmlChecks()`: whether a text is such XHTML.
pub(super) fn is_well_made(text: &str) -> bool {
    check(text).is_some()
}

/// `htmlChecks2()`: whether there is also something in it to see.
pub(super) fn has_content(text: &str) -> bool {
    check(text) == Some(true)
}

/// Whether there is something to see; `None` as soon as a rule is broken.
fn check(text: &str) -> Option<bool> {
    let mut reader = Reader { rest: text.trim() };
    let mut open: Vec<&str> = Vec::new();
    let mut has_content = false;
    loop {
        let has_text = reader.text()?;
        if has_text && open.is_empty() {
            return None;
        }
        has_content |= has_text;
        if reader.take("<!--") {
            reader.until("-->")?;
        } else if reader.take("</") {
            let name = reader.name()?;
            reader.space();
            (open.pop()? == name && reader.take(">")).then_some(())?;
            if open.is_empty() {
                return reader.rest.is_empty().then_some(has_content);
            }
        } else {
            reader.take("<").then_some(())?;
            let name = reader.name()?;
            let is_known = is_among(name, ELEMENTS);
            (is_known && open.len() < DEPTH_MAX).then_some(())?;
            let namespace = reader.attributes()?;
            let is_root = open.is_empty();
            if is_root {
                (name == "div" && namespace == NAMESPACE).then_some(())?;
            } else {
                (namespace.is_empty() || namespace == NAMESPACE).then_some(())?;
            }
            has_content |= name == "img";
            let is_closed = reader.take("/");
            reader.take(">").then_some(())?;
            if is_closed && is_root {
                return None;
            }
            if !is_closed {
                (!is_among(name, EMPTY_ELEMENTS) || reader.rest.starts_with("</")).then_some(())?;
                open.push(name);
            }
        }
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn take(&mut self, prefix: &str) -> bool {
        match self.rest.strip_prefix(prefix) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Takes all before a mark, and the mark.
    fn until(&mut self, mark: &str) -> Option<&'a str> {
        let (before, after) = self.rest.split_once(mark)?;
        self.rest = after;
        Some(before)
    }

    /// Takes a value in quotes. Most are short, so that looking byte by byte is soon done.
    fn quoted(&mut self) -> Option<&'a str> {
        let quote = *self.rest.as_bytes().first()?;
        matches!(quote, b'"' | b'\'').then_some(())?;
        let inner = self.rest.get(1..)?;
        let end = inner.bytes().position(|byte| byte == quote)?;
        self.rest = inner.get(end + 1..)?;
        inner.get(..end)
    }

    fn space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// Takes text up to the next tag; whether there was anything to see in it.
    fn text(&mut self) -> Option<bool> {
        let end = self.rest.find('<').unwrap_or(self.rest.len());
        let (text, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        has_references(text).then(|| text.contains(|next: char| !next.is_whitespace()))
    }

    /// Takes the name of an element or attribute.
    fn name(&mut self) -> Option<&'a str> {
        let is_part =
            |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'-' | b'_');
        let end = self.rest.bytes().position(|byte| !is_part(&byte))?;
        let (name, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        (!name.is_empty()).then_some(name)
    }

    /// Takes the attributes of a tag; gives the namespace, empty if none is stated.
    fn attributes(&mut self) -> Option<&'a str> {
        let mut namespace = "";
        loop {
            let before = self.rest.len();
            self.space();
            if self.rest.starts_with(['/', '>']) {
                return Some(namespace);
            }
            if before == self.rest.len() {
                return None;
            }
            let name = self.name()?;
            self.space();
            self.take("=").then_some(())?;
            self.space();
            let value = self.quoted()?;
            let is_known = is_among(name, ATTRIBUTES);
            (is_known && has_references(value) && !value.contains('<')).then_some(())?;
            if name == "xmlns" {
                namespace = value;
            }
        }
    }
}

/// Whether a name is in a table; the first letter tells most apart.
fn is_among(name: &str, table: &[&str]) -> bool {
    let first = name.as_bytes().first();
    table
        .iter()
        .any(|known| known.as_bytes().first() == first && *known == name)
}

/// Whether each `&` starts a reference to a character or entity.
fn has_references(text: &str) -> bool {
    // Most texts have none: looking for a byte is quicker than splitting.
    if !text.as_bytes().contains(&b'&') {
        return true;
    }
    text.split('&').skip(1).all(|after| {
        after.split_once(';').is_some_and(|(name, _)| {
            let digits = name.strip_prefix('#').unwrap_or(name);
            !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_alphanumeric())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(inner: &str, expected: bool) {
        let text = format!("<div xmlns=\"{NAMESPACE}\">{inner}</div>");
        assert_eq!(is_well_made(&text), expected, "{text}");
    }

    #[test]
    fn formatting_is_admitted() {
        check("text", true);
        check("<p class=\"a\">a <b>b</b><br/></p>", true);
        check("<img src='#pic' alt=\"\"/>", true);
        check("<!-- note --> a &amp; b &#160; &lt;", true);
        check("<table><tr><td colspan=\"2\">1</td></tr></table>", true);
    }

    #[test]
    fn something_to_see_is_another_question() {
        for (inner, expected) in [
            ("", false),
            ("  <p> </p>", false),
            ("a", true),
            ("<p><img src='#a' alt=''/></p>", true),
        ] {
            check(inner, true);
            let text = format!("<div xmlns=\"{NAMESPACE}\">{inner}</div>");
            assert_eq!(has_content(&text), expected, "{text}");
        }
    }

    #[test]
    fn what_a_narrative_must_not_have_is_refused() {
        check("<script>alert(1)</script>", false);
        check("<p onclick=\"go()\">a</p>", false);
        check("<form>a</form>", false);
        check("<p>a", false);
        check("<b><i>a</b></i>", false);
        check("a & b", false);
        check("<p", false);
        assert!(!is_well_made("text"));
        assert!(!is_well_made(""));
        assert!(!is_well_made("<div>no namespace</div>"));
        assert!(!is_well_made(&format!("<p xmlns=\"{NAMESPACE}\">a</p>")));
    }
}
