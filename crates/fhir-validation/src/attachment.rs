//! Data that a resource holds itself: <https://hl7.org/fhir/R4/datatypes.html#attachment>.

use fhir_model::issue::IssueType;
use fhir_model::tree::Node;

use crate::walk::Walk;

impl<'a> Walk<'a> {
    /// An Attachment with data and a size: the size is that of the data.
    pub(crate) fn attachment(&mut self, attachment: Node<'a>) {
        let Some(size) = attachment.get_str("size") else {
            return;
        };
        let stated: Option<u64> = size.as_number().and_then(|size| size.parse().ok());
        let found = attachment.get_str("data").and_then(decoded_length);
        if let (Some(stated), Some(found)) = (stated, found)
            && stated != found
        {
            let text = format!("The size is {stated}, and there are {found} bytes of data");
            self.findings
                .error(size, IssueType::Value, "Attachment.size", text);
        }
    }
}

/// The bytes of an Attachment: of the data, or as it states.
pub(crate) fn byte_count(attachment: Node<'_>) -> Option<u64> {
    let of_data = attachment.get_str("data").and_then(decoded_length);
    let stated = || attachment.get_str("size")?.as_number()?.parse().ok();
    of_data.or_else(stated)
}

/// How many bytes a base64 text stands for; whether it is well-formed is asked elsewhere.
fn decoded_length(data: Node<'_>) -> Option<u64> {
    let text = data.as_str()?;
    let characters = text
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace() && *byte != b'=');
    let count = u64::try_from(characters.count()).ok()?;
    Some(count * 3 / 4)
}
