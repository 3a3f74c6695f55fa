//! The binary form of a set of definitions, to be embedded in a program.
//!
//! A short header, then the tables in `postcard`'s compact encoding. An image is read by the same
//! build that wrote it, so there is no compatibility between formats: another one is refused.

use super::Definitions;

/// Says what follows; the digit counts the formats.
const HEADER: &[u8] = b"BATONDEF1";

/// Why an image could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// It does not begin as an image of this format does.
    #[error("this is no image of definitions, or one of another format")]
    Header,
    /// Its content could not be read or written.
    #[error("the image of definitions is damaged")]
    Content(#[source] postcard::Error),
}

impl Definitions {
    /// Reads an image that [`Definitions::to_image`] wrote.
    pub fn from_image(image: &[u8]) -> Result<Self, ImageError> {
        let content = image.strip_prefix(HEADER).ok_or(ImageError::Header)?;
        let mut definitions: Self = postcard::from_bytes(content).map_err(ImageError::Content)?;
        definitions.pool.index();
        definitions.names.index();
        Ok(definitions)
    }

    /// The binary form of this set.
    pub fn to_image(&self) -> Result<Vec<u8>, ImageError> {
        postcard::to_extend(self, HEADER.to_vec()).map_err(ImageError::Content)
    }
}
