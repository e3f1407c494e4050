//! Finds the lists of keywords in the text of an XMP packet, as byte positions.
//!
//! A packet is RDF in XML (Adobe, "XMP Specification Part 1", 7): `rdf:RDF` has one or more `rdf:Description`, whose
//! children are properties, and a list is a property with an `rdf:Bag` or `rdf:Seq` of `rdf:li`. Names are compared by
//! namespace, so a program may use any prefix. Nothing is kept but what an edit needs.

use std::ops::Range;

use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::name::{QName, ResolveResult};
use quick_xml::reader::NsReader;

pub(super) const RDF: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#";

/// A property that is a list of keywords.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Property {
    pub(super) namespace: &'static str,
    pub(super) prefix: &'static str,
    pub(super) name: &'static str,
    /// The list that a new one gets.
    pub(super) list: &'static str,
}

const fn property(namespace: &'static str, prefix: &'static str, name: &'static str, list: &'static str) -> Property {
    Property {
        namespace,
        prefix,
        name,
        list,
    }
}

const DC: &str = "http://purl.org/dc/elements/1.1/";
const LIGHTROOM: &str = "http://ns.adobe.com/lightroom/1.0/";
const DIGIKAM: &str = "http://www.digikam.org/ns/1.0/";
/// Which keywords of the lists above longclip wrote, so that it can take them away again.
const OURS: &str = "https://github.com/longclip/longclip/ns/1.0/";

/// The lists that tags are written to; then, in the same order, those that say which of their keywords are ours.
pub(super) const PROPERTIES: [Property; 6] = [
    property(DC, "dc", "subject", "Bag"),
    property(LIGHTROOM, "lr", "hierarchicalSubject", "Bag"),
    property(DIGIKAM, "digiKam", "TagsList", "Seq"),
    property(OURS, "longclip", "subject", "Bag"),
    property(OURS, "longclip", "hierarchicalSubject", "Bag"),
    property(OURS, "longclip", "TagsList", "Seq"),
];
pub(super) const N_LISTS: usize = 3;

/// What was found in a packet.
#[derive(Debug, Default)]
pub(super) struct Packet {
    /// The first `rdf:Description` that is a child of `rdf:RDF`.
    pub(super) description: Option<Element>,
    /// `rdf:RDF`.
    pub(super) rdf: Option<Element>,
    /// The lists, by [`PROPERTIES`].
    pub(super) lists: [Option<List>; PROPERTIES.len()],
}

/// An element, from `<` to after `>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) all: Range<usize>,
    /// Its name as written.
    pub(super) name: String,
    /// What is between its tags; `None` for `<name/>`.
    pub(super) inside: Option<Range<usize>>,
}

impl Element {
    /// Its prefix with the colon, or nothing.
    pub(super) fn prefix(&self) -> &str {
        self.name.rfind(':').map_or("", |colon| &self.name[..=colon])
    }
}

/// A property that is a list.
#[derive(Debug)]
pub(super) struct List {
    pub(super) property: Element,
    /// The `rdf:Bag` or `rdf:Seq`; `None` if the property is empty.
    pub(super) container: Option<Element>,
    pub(super) items: Vec<Item>,
}

#[derive(Debug)]
pub(super) struct Item {
    pub(super) all: Range<usize>,
    /// Its text; `None` if it is more than text.
    pub(super) text: Option<String>,
}

/// What an open element is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Rdf,
    Description,
    Property(usize),
    Container(usize),
    Item(usize),
    Other,
}

struct Open {
    role: Role,
    name: String,
    start: usize,
    inside_start: usize,
}

/// Reads a packet. An error says what is wrong with it.
pub(super) fn read(text: &str) -> Result<Packet, String> {
    // The reader skips a byte order mark and does not count it.
    let xml = text.trim_start_matches('\u{feff}');
    let mark_bytes = text.len() - xml.len();
    let mut reader = NsReader::from_str(xml);
    let position = |reader: &NsReader<&[u8]>| {
        let position = usize::try_from(reader.buffer_position());
        position.map_or(usize::MAX, |position| mark_bytes + position)
    };
    let mut packet = Packet::default();
    let mut open: Vec<Open> = Vec::new();
    loop {
        let start = position(&reader);
        let (namespace, event) = match reader.read_resolved_event() {
            Ok(read) => read,
            Err(error) => return Err(malformed(text, start, &error.to_string())),
        };
        match event {
            Event::Start(tag) | Event::Empty(tag) => {
                let parent = open.last().map_or(Role::Other, |parent| parent.role);
                let is_rdf_new = packet.rdf.is_none() && !open.iter().any(|open| open.role == Role::Rdf);
                let role = match is_rdf_new && is_in(&namespace, RDF) && tag.local_name().as_ref() == "RDF" {
                    true => Role::Rdf,
                    false => role_of(parent, &namespace, &tag),
                };
                if let Role::Item(_) = parent {
                    packet.spoil_item(parent);
                }
                if role == Role::Description {
                    refuse_attributes(&reader, &tag)?;
                }
                let name = tag.name().0.to_owned();
                let inside_start = position(&reader);
                packet.begin(role, start)?;
                open.push(Open {
                    role,
                    name,
                    start,
                    inside_start,
                });
                if text[..inside_start].ends_with("/>") {
                    packet.end(open.pop(), None, inside_start);
                }
            }
            Event::End(_) => {
                let end = position(&reader);
                packet.end(open.pop(), Some(start), end);
            }
            Event::Text(words) => packet.text(open.last(), &words.xml10_content())?,
            Event::CData(words) => packet.text(open.last(), &words.xml10_content())?,
            Event::GeneralRef(entity) => {
                let meant = character(&entity).ok_or_else(|| malformed(text, start, "an unknown entity"))?;
                packet.text(open.last(), &meant.to_string())?;
            }
            Event::Eof => break,
            Event::Decl(declaration) => match declaration.encoding() {
                Some(Ok(encoding)) if !encoding.eq_ignore_ascii_case("utf-8") => {
                    return Err(format!(
                        "it says that its encoding is {encoding}, and only UTF-8 is read"
                    ));
                }
                Some(_) | None => {}
            },
            Event::Comment(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
    match (open.last(), &packet.rdf) {
        (Some(open), _) => Err(format!("it is not XML: `<{}>` is never closed", open.name)),
        (None, None) => Err("it has no `rdf:RDF`, so it is not XMP".into()),
        (None, Some(_)) => Ok(packet),
    }
}

fn malformed(text: &str, at: usize, problem: &str) -> String {
    let line = memchr::memchr_iter(b'\n', &text.as_bytes()[..at.min(text.len())]).count() + 1;
    format!("it is not XML: line {line}: {problem}")
}

fn is_in(namespace: &ResolveResult<'_>, wanted: &str) -> bool {
    matches!(namespace, ResolveResult::Bound(found) if found.0 == wanted)
}

fn role_of(parent: Role, namespace: &ResolveResult<'_>, tag: &BytesStart<'_>) -> Role {
    let name = tag.local_name();
    let name: &str = name.as_ref();
    let is_rdf = is_in(namespace, RDF);
    match parent {
        Role::Rdf if is_rdf && name == "Description" => Role::Description,
        Role::Description => {
            let known = PROPERTIES
                .iter()
                .position(|known| known.name == name && is_in(namespace, known.namespace));
            known.map_or(Role::Other, Role::Property)
        }
        Role::Property(i) if is_rdf && ["Bag", "Seq", "Alt"].contains(&name) => Role::Container(i),
        Role::Container(i) if is_rdf && name == "li" => Role::Item(i),
        Role::Rdf | Role::Property(_) | Role::Container(_) | Role::Item(_) | Role::Other => Role::Other,
    }
}

/// Refuses a list that is written as an attribute, which XMP doesn't allow: it would be there twice.
fn refuse_attributes(reader: &NsReader<&[u8]>, tag: &BytesStart<'_>) -> Result<(), String> {
    for attribute in tag.attributes() {
        let attribute = attribute.map_err(|error| format!("it is not XML: {error}"))?;
        let (namespace, name) = reader.resolver().resolve_attribute(QName(attribute.key.0));
        let name: &str = name.as_ref();
        let known = |known: &&Property| known.name == name && is_in(&namespace, known.namespace);
        if let Some(known) = PROPERTIES.iter().find(known) {
            return Err(not_a_list(known));
        }
    }
    Ok(())
}

fn not_a_list(property: &Property) -> String {
    format!("its `{}:{}` is not a list of keywords", property.prefix, property.name)
}

/// The character that a reference stands for.
fn character(entity: &BytesRef<'_>) -> Option<char> {
    if entity.is_char_ref() {
        return entity.resolve_char_ref().ok().flatten();
    }
    match &*entity.xml10_content() {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "apos" => Some('\''),
        "quot" => Some('"'),
        _ => None,
    }
}

impl Packet {
    fn begin(&mut self, role: Role, start: usize) -> Result<(), String> {
        match role {
            Role::Property(i) if self.lists[i].is_some() => {
                let property = &PROPERTIES[i];
                return Err(format!("it has `{}:{}` twice", property.prefix, property.name));
            }
            Role::Property(i) => {
                let property = Element {
                    all: start..start,
                    name: String::new(),
                    inside: None,
                };
                self.lists[i] = Some(List {
                    property,
                    container: None,
                    items: Vec::new(),
                });
            }
            Role::Item(i) => {
                let item = Item {
                    all: start..start,
                    text: Some(String::new()),
                };
                self.list(i).items.push(item);
            }
            Role::Rdf | Role::Description | Role::Container(_) | Role::Other => {}
        }
        Ok(())
    }

    fn list(&mut self, i: usize) -> &mut List {
        self.lists[i].as_mut().expect("its property is open")
    }

    /// The open item has a child, so it is more than text.
    fn spoil_item(&mut self, role: Role) {
        if let Role::Item(i) = role
            && let Some(item) = self.list(i).items.last_mut()
        {
            item.text = None;
        }
    }

    fn text(&mut self, open: Option<&Open>, words: &str) -> Result<(), String> {
        match open.map(|open| open.role) {
            Some(Role::Item(i)) => {
                let item = self.list(i).items.last_mut();
                if let Some(text) = item.and_then(|item| item.text.as_mut()) {
                    text.push_str(words);
                }
                Ok(())
            }
            Some(Role::Property(i)) if !words.trim().is_empty() => Err(not_a_list(&PROPERTIES[i])),
            _ => Ok(()),
        }
    }

    /// An element is closed: its end tag begins at `end_tag`, if it has one.
    fn end(&mut self, closed: Option<Open>, end_tag: Option<usize>, end: usize) {
        let Some(closed) = closed else { return };
        let element = Element {
            all: closed.start..end,
            name: closed.name,
            inside: end_tag.map(|end| closed.inside_start..end),
        };
        match closed.role {
            Role::Rdf => self.rdf = Some(element),
            Role::Description => {
                self.description.get_or_insert(element);
            }
            Role::Property(i) => self.list(i).property = element,
            Role::Container(i) => {
                self.list(i).container.get_or_insert(element);
            }
            Role::Item(i) => {
                if let Some(item) = self.list(i).items.last_mut() {
                    item.all = element.all;
                }
            }
            Role::Other => {}
        }
    }
}
