//! `htmlChecks()`: whether a text is XHTML as a narrative may have it,
//! <https://hl7.org/fhir/R4/narrative.html#xhtml>.
//!
//! One well-formed `div` with something in it to see, made of the elements and attributes of
//! chapters 7–11 (without 9.4) and 15 of HTML 4, `a` and `img`. Which of the rules is broken is
//! not said: the function has one bit to answer with.

/// The namespace that the `div` must state.
const NAMESPACE: &str = "http://www.w3.org/1999/xhtml";

/// Elements nest at most so deep.
const DEPTH_MAX: usize = 256;

/// The elements that a narrative may have, sorted.
const ELEMENTS: &[&str] = &[
    "a",
    "abbr",
    "acronym",
    "address",
    "area",
    "b",
    "bdo",
    "big",
    "blockquote",
    "br",
    "caption",
    "center",
    "cite",
    "code",
    "col",
    "colgroup",
    "dd",
    "dfn",
    "div",
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
    "li",
    "map",
    "ol",
    "p",
    "pre",
    "q",
    "s",
    "samp",
    "small",
    "span",
    "strike",
    "strong",
    "sub",
    "sup",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "tr",
    "tt",
    "u",
    "ul",
    "var",
];

/// The attributes that the elements may have, sorted.
const ATTRIBUTES: &[&str] = &[
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
    "class",
    "clear",
    "color",
    "colspan",
    "compact",
    "coords",
    "datetime",
    "dir",
    "face",
    "frame",
    "headers",
    "height",
    "href",
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
    "style",
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
    "xmlns",
];

/// The elements that never have content.
const EMPTY_ELEMENTS: &[&str] = &["br", "hr", "img", "col", "area"];

/// Whether a text is such XHTML.
pub(super) fn is_narrative(text: &str) -> bool {
    check(text).is_some()
}

/// `None` as soon as a rule is broken.
fn check(text: &str) -> Option<()> {
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
                return (reader.rest.is_empty() && has_content).then_some(());
            }
        } else {
            reader.take("<").then_some(())?;
            let name = reader.name()?;
            let is_known = ELEMENTS.binary_search(&name).is_ok();
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
                (!EMPTY_ELEMENTS.contains(&name) || reader.rest.starts_with("</")).then_some(())?;
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

    fn space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// Takes text up to the next tag; whether there was anything to see in it.
    fn text(&mut self) -> Option<bool> {
        let end = self.rest.find('<').unwrap_or(self.rest.len());
        let (text, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        has_references(text).then(|| !text.trim().is_empty())
    }

    /// Takes the name of an element or attribute.
    fn name(&mut self) -> Option<&'a str> {
        let is_part = |next: char| next.is_ascii_alphanumeric() || matches!(next, ':' | '-' | '_');
        let end = self.rest.find(|next| !is_part(next))?;
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
            let quote = if self.take("\"") {
                "\""
            } else {
                self.take("'").then_some("'")?
            };
            let value = self.until(quote)?;
            let is_known = ATTRIBUTES.binary_search(&name).is_ok();
            (is_known && has_references(value) && !value.contains('<')).then_some(())?;
            if name == "xmlns" {
                namespace = value;
            }
        }
    }
}

/// Whether each `&` starts a reference to a character or entity.
fn has_references(text: &str) -> bool {
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
        assert_eq!(is_narrative(&text), expected, "{text}");
    }

    #[test]
    fn tables_are_sorted() {
        assert!(ELEMENTS.is_sorted());
        assert!(ATTRIBUTES.is_sorted());
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
    fn what_a_narrative_must_not_have_is_refused() {
        check("", false);
        check("  <p> </p>", false);
        check("<script>alert(1)</script>", false);
        check("<p onclick=\"go()\">a</p>", false);
        check("<form>a</form>", false);
        check("<p>a", false);
        check("<b><i>a</b></i>", false);
        check("a & b", false);
        check("<p", false);
        assert!(!is_narrative("text"));
        assert!(!is_narrative(""));
        assert!(!is_narrative("<div>no namespace</div>"));
        assert!(!is_narrative(&format!("<p xmlns=\"{NAMESPACE}\">a</p>")));
    }
}
