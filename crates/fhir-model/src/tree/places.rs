//! Where the nodes of a large tree are: what leads to each, and in which line it stands.
//!
//! In a resource this is looked for anew for each issue. In a Bundle of many thousand entries that
//! would take as long as the Bundle times the issues, so there it is worked out once.

use crate::tree::parse::offset;
use crate::tree::text;
use crate::tree::{LineColumn, Node, Tree};

/// Bytes of text after which characters are counted up.
const BLOCK_BYTES: usize = 4096;

/// Where everything is in one tree.
pub(super) struct Places {
    /// Of each node: the one that it is in, and its position there.
    above: Vec<(u32, u32)>,
    /// Where each line but the first starts.
    lines: Vec<u32>,
    /// How many characters there are before each block.
    chars: Vec<u32>,
}

impl Places {
    /// Trees of so many nodes are large.
    pub(super) const NODES_MIN: usize = 16_384;
    /// Trees of so long a text are large.
    pub(super) const BYTES_MIN: usize = 256 << 10;

    pub(super) fn of(tree: &Tree) -> Self {
        let mut above = vec![(0, 0); tree.node_count()];
        for index in 0..offset(tree.node_count()) {
            for (position, child) in tree.at(index).children().enumerate() {
                if let Some(place) = above.get_mut(child.id().index()) {
                    *place = (index, offset(position));
                }
            }
        }
        let bytes = tree.sent().as_bytes();
        let newlines = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        let mut count = 0;
        let blocks = bytes.chunks(BLOCK_BYTES).map(|block| {
            let before = count;
            count += offset(text::char_count(block));
            before
        });
        Self {
            above,
            chars: blocks.collect(),
            lines: newlines.map(|(at, _)| offset(at + 1)).collect(),
        }
    }

    /// What [`Node::path`] gives.
    pub(super) fn path<'a>(&self, node: Node<'a>) -> Vec<(usize, Node<'a>)> {
        let mut path = Vec::new();
        let mut below = node;
        while below.id != 0 {
            let Some((above, position)) = self.above.get(below.id as usize) else {
                break;
            };
            path.push((*position as usize, below));
            below = node.tree.at(*above);
        }
        path.reverse();
        path
    }

    /// What [`text::line_column`] gives.
    pub(super) fn line_column(&self, sent: &str, at: usize) -> LineColumn {
        let bytes = sent.as_bytes();
        let lines = self.lines.partition_point(|start| *start as usize <= at);
        let start = lines.checked_sub(1).and_then(|line| self.lines.get(line));
        let start = start.map_or_else(|| text::mark_len(bytes), |start| *start as usize);
        let columns = self
            .chars_before(bytes, at)
            .saturating_sub(self.chars_before(bytes, start));
        LineColumn {
            line: offset(lines + 1),
            column: offset(columns + 1),
        }
    }

    fn chars_before(&self, bytes: &[u8], at: usize) -> usize {
        let block = at / BLOCK_BYTES;
        let before = self.chars.get(block).copied().unwrap_or_default();
        let rest = bytes.get(block * BLOCK_BYTES..at).unwrap_or_default();
        before as usize + text::char_count(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Names;
    use crate::tree::Limits;

    #[test]
    fn a_large_tree_says_what_a_small_one_says() {
        let part = "{\"name\":[{\"given\":[\"ä\",\"b\"]},\n {}],\"é\":1}";
        let text = format!("\u{feff}{{\"entry\":[\n{}]}}", vec![part; 300].join(", "));
        let tree = Tree::parse(text, &Names::default(), &Limits::CEILING).unwrap();
        assert!(
            tree.node_count() < Places::NODES_MIN,
            "else nothing is compared"
        );
        let places = Places::of(&tree);
        let bytes = tree.sent().as_bytes();
        for node in tree.root().descendants() {
            assert_eq!(places.path(node), node.path());
            let at = node.offset().unwrap();
            assert_eq!(
                places.line_column(tree.sent(), at),
                text::line_column(bytes, at)
            );
        }
    }
}
