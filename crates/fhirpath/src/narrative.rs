//! XHTML as a narrative may have it: <https://hl7.org/fhir/R4/narrative.html#xhtml>.
//!
//! One well-formed `div`, made of the elements and attributes of chapters 7–11 (without 9.4) and 15
//! of HTML 4, `a` and `img`; no scripts, and no entities but those of XML. `htmlChecks()` asks
//! whether all that is so, and the validator asks what is not.
//!
//! That there is something in it to see is another question, `htmlChecks2()`, which R5 made of the
//! second half: R4 asks `htmlChecks()` for both, but two of its own examples have an empty `div`,
//! and the reference validator lets them pass.

use std::fmt;

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

/// Attributes that lead somewhere.
const LINKS: &[&str] = &["href", "src", "cite", "longdesc", "usemap"];

/// Schemes of links that are programs.
const SCRIPTS: &[&str] = &["javascript:", "vbscript:", "data:text/html"];

/// The entities of XML; HTML's are written as characters.
const ENTITIES: &[&str] = &["amp", "lt", "gt", "quot", "apos"];

/// What a text breaks of the rules for narratives: the first of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breach<'a> {
    /// It is not one `div` in the namespace of XHTML.
    NotADiv,
    /// It is not well-formed XML, from here on.
    NotXml(&'a str),
    /// An element that is not admitted, and may be known to HTML.
    Element(&'a str),
    /// An attribute that is not admitted, on an element.
    Attribute(&'a str, &'a str),
    /// An element of another namespace.
    Namespace(&'a str),
    /// A link that is a program.
    Script(&'a str),
    /// An entity that is not of XML: `nbsp`.
    Entity(&'a str),
    /// Elements nest deeper than we look.
    TooDeep,
}

impl fmt::Display for Breach<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotADiv => write!(f, "it must be one div with the namespace {NAMESPACE}"),
            Self::NotXml(rest) => {
                let end = rest
                    .char_indices()
                    .nth(EXCERPT_CHARS)
                    .map_or(rest.len(), |(at, _)| at);
                let excerpt = rest.get(..end).unwrap_or_default();
                write!(f, "it is not well-formed XML at {excerpt:?}")
            }
            Self::Element(name) => write!(f, "the element {name} is not admitted"),
            Self::Attribute(name, element) => {
                write!(f, "the attribute {name} is not admitted on {element}")
            }
            Self::Namespace(name) => write!(f, "the namespace {name} is not that of XHTML"),
            Self::Script(_) => write!(f, "a link must not be a program"),
            Self::Entity(name) => write!(
                f,
                "&{name}; is no entity of XML; write the character, or its number as &#160;"
            ),
            Self::TooDeep => write!(f, "elements nest deeper than {DEPTH_MAX}"),
        }
    }
}

/// How much is shown of what is not well-formed.
const EXCERPT_CHARS: usize = 30;

/// Whether there is something to see in a narrative, or what is wrong with it.
pub fn check(text: &str) -> Result<bool, Breach<'_>> {
    let mut reader = Reader { rest: text.trim() };
    let mut open: Vec<&str> = Vec::new();
    let mut has_content = false;
    loop {
        let has_text = reader.text()?;
        if has_text && open.is_empty() {
            return Err(Breach::NotADiv);
        }
        has_content |= has_text;
        if reader.take("<!--") {
            reader.until("-->")?;
        } else if reader.take("</") {
            reader.end_tag(open.pop())?;
            if open.is_empty() {
                let is_all = reader.rest.is_empty();
                return is_all.then_some(has_content).ok_or(Breach::NotADiv);
            }
        } else {
            let name = reader.start_tag(&mut open)?;
            has_content |= name == "img";
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

    fn expect(&mut self, prefix: &str) -> Result<(), Breach<'a>> {
        if self.take(prefix) {
            Ok(())
        } else {
            Err(Breach::NotXml(self.rest))
        }
    }

    /// Takes all before a mark, and the mark.
    fn until(&mut self, mark: &str) -> Result<(), Breach<'a>> {
        let (_, after) = self
            .rest
            .split_once(mark)
            .ok_or(Breach::NotXml(self.rest))?;
        self.rest = after;
        Ok(())
    }

    fn end_tag(&mut self, open: Option<&str>) -> Result<(), Breach<'a>> {
        let before = self.rest;
        let name = self.name()?;
        if open != Some(name) {
            return Err(Breach::NotXml(before));
        }
        self.space();
        self.expect(">")
    }

    /// Takes a tag that opens an element, and puts that on the stack if it has content.
    fn start_tag(&mut self, open: &mut Vec<&'a str>) -> Result<&'a str, Breach<'a>> {
        self.expect("<")?;
        let name = self.name()?;
        let is_root = open.is_empty();
        if is_root && name != "div" {
            return Err(Breach::NotADiv);
        }
        if !is_among(name, ELEMENTS) {
            return Err(Breach::Element(name));
        }
        let namespace = self.attributes(name)?;
        if is_root && namespace != NAMESPACE {
            return Err(Breach::NotADiv);
        }
        if !namespace.is_empty() && namespace != NAMESPACE {
            return Err(Breach::Namespace(namespace));
        }
        let is_closed = self.take("/");
        self.expect(">")?;
        if is_closed && is_root {
            return Err(Breach::NotADiv);
        }
        if !is_closed {
            if is_among(name, EMPTY_ELEMENTS) && !self.rest.starts_with("</") {
                return Err(Breach::NotXml(self.rest));
            }
            if open.len() == DEPTH_MAX {
                return Err(Breach::TooDeep);
            }
            open.push(name);
        }
        Ok(name)
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
    fn text(&mut self) -> Result<bool, Breach<'a>> {
        let end = self.rest.find('<').unwrap_or(self.rest.len());
        let (text, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = rest;
        references(text)?;
        Ok(text.contains(|next: char| !next.is_whitespace()))
    }

    /// Takes the name of an element or attribute.
    fn name(&mut self) -> Result<&'a str, Breach<'a>> {
        let is_part =
            |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'-' | b'_');
        let end = self.rest.bytes().position(|byte| !is_part(&byte));
        match end.and_then(|end| self.rest.split_at_checked(end)) {
            Some((name, rest)) if !name.is_empty() => {
                self.rest = rest;
                Ok(name)
            }
            _ => Err(Breach::NotXml(self.rest)),
        }
    }

    /// Takes the attributes of a tag; gives the namespace, empty if none is stated.
    fn attributes(&mut self, element: &'a str) -> Result<&'a str, Breach<'a>> {
        let mut namespace = "";
        loop {
            let before = self.rest.len();
            self.space();
            if self.rest.starts_with(['/', '>']) {
                return Ok(namespace);
            }
            if before == self.rest.len() {
                return Err(Breach::NotXml(self.rest));
            }
            let name = self.name()?;
            self.space();
            self.expect("=")?;
            self.space();
            let value = self.quoted().ok_or(Breach::NotXml(self.rest))?;
            if !is_among(name, ATTRIBUTES) {
                return Err(Breach::Attribute(name, element));
            }
            references(value)?;
            if value.contains('<') {
                return Err(Breach::NotXml(value));
            }
            if is_among(name, LINKS) && is_script(value) {
                return Err(Breach::Script(value));
            }
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

/// Whether a link is a program: browsers overlook case, and white space before and within.
fn is_script(link: &str) -> bool {
    let bytes = || link.bytes().filter(|byte| *byte > b' ');
    let begins = |scheme: &&str| {
        let start = bytes().take(scheme.len());
        start
            .map(|byte| byte.to_ascii_lowercase())
            .eq(scheme.bytes())
    };
    SCRIPTS.iter().any(begins)
}

/// Each `&` starts a reference to a character or an entity of XML.
fn references(text: &str) -> Result<(), Breach<'_>> {
    // Most texts have none: looking for a byte is quicker than splitting.
    if !text.as_bytes().contains(&b'&') {
        return Ok(());
    }
    for after in text.split('&').skip(1) {
        let (name, _) = after.split_once(';').ok_or(Breach::NotXml(after))?;
        let is_word = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        match name.strip_prefix('#') {
            Some(number) if is_number(number) => {}
            None if ENTITIES.contains(&name) => {}
            None if is_word => return Err(Breach::Entity(name)),
            _ => return Err(Breach::NotXml(after)),
        }
    }
    Ok(())
}

/// The number of a character: `160`, or `xA0`.
fn is_number(number: &str) -> bool {
    match number.strip_prefix('x') {
        Some(digits) => !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_inner(inner: &str, expected: Result<bool, Breach<'_>>) {
        let text = format!("<div xmlns=\"{NAMESPACE}\">{inner}</div>");
        assert_eq!(check(&text), expected, "{text}");
    }

    #[test]
    fn formatting_is_admitted() {
        for inner in [
            "text",
            "<p class=\"a\">a <b>b</b><br/></p>",
            "<img src='#pic' alt=\"\"/>",
            "<!-- note --> a &amp; b &#160; &lt; &#xA0;",
            "<table><tr><td colspan=\"2\">1</td></tr></table>",
            "<a href=\"https://example.org/javascript:\">a</a>",
        ] {
            check_inner(inner, Ok(true));
        }
    }

    #[test]
    fn something_to_see_is_another_question() {
        check_inner("", Ok(false));
        check_inner("  <p> </p>", Ok(false));
        check_inner("a", Ok(true));
        check_inner("<p><img src='#a' alt=''/></p>", Ok(true));
    }

    #[test]
    fn what_a_narrative_must_not_have_is_refused() {
        check_inner("<script>alert(1)</script>", Err(Breach::Element("script")));
        check_inner(
            "<p onclick=\"go()\">a</p>",
            Err(Breach::Attribute("onclick", "p")),
        );
        check_inner("<form>a</form>", Err(Breach::Element("form")));
        check_inner("<p>a", Err(Breach::NotXml("div>")));
        check_inner("<b><i>a</b></i>", Err(Breach::NotXml("b></i></div>")));
        check_inner("a & b", Err(Breach::NotXml(" b")));
        check_inner("a&nbsp;b", Err(Breach::Entity("nbsp")));
        check_inner("<p", Err(Breach::NotXml("</div>")));
        let link = " java\tScript:go()";
        let text = format!("<a href=\"{link}\">a</a>");
        check_inner(&text, Err(Breach::Script(link)));
        check_inner("<p xmlns=\"urn:a\">a</p>", Err(Breach::Namespace("urn:a")));
        let other = format!("<p xmlns=\"{NAMESPACE}\">a</p>");
        for text in ["text", "<div>no namespace</div>", &other] {
            assert_eq!(check(text), Err(Breach::NotADiv), "{text}");
        }
        assert_eq!(check(""), Err(Breach::NotXml("")));
    }
}
