//! The two towers of a CLIP. Some files hold only one of them, for programs that need no other; texts or images alone can
//! be embedded with it.

/// One half of a CLIP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tower {
    /// The one that reads images.
    Image,
    /// The one that reads texts.
    Text,
}

impl Tower {
    /// Both, as every command but embedding needs.
    pub const BOTH: [Tower; 2] = [Tower::Image, Tower::Text];

    /// The tower of one of upstream's tensors; `None` for the temperature, which belongs to both.
    pub(super) fn of(tensor: &str) -> Option<Tower> {
        match tensor {
            "logit_scale" => None,
            _ if tensor.starts_with("visual.") => Some(Tower::Image),
            _ => Some(Tower::Text),
        }
    }

    /// Its name in messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Tower::Image => "image tower",
            Tower::Text => "text tower",
        }
    }

    /// What can be done with a file without this tower.
    pub(super) fn advice(self) -> &'static str {
        match self {
            Tower::Image => {
                "only texts can be embedded with this half of a CLIP; for all else use a file with both towers"
            }
            Tower::Text => {
                "only images can be embedded with this half of a CLIP; for all else use a file with both towers"
            }
        }
    }
}
