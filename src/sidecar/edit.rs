//! Adds tags to the text of a sidecar, and takes ours away again: text is inserted and cut out, and the rest stays as it is.

use std::collections::HashSet;
use std::ops::Range;

use super::TagPath;
use super::xmp::{Element, List, N_LISTS, PROPERTIES, Packet, RDF, read};

/// The text of a new sidecar with these tags.
pub fn new_text(tags: &[TagPath]) -> Result<String, String> {
    Ok(tagged(&empty(), tags)?.unwrap_or_else(empty))
}

/// The packet of a photo that gets its first one, with these tags.
pub(super) fn new_packet(tags: &[TagPath]) -> Result<String, String> {
    Ok(tagged(&empty_packet(), tags)?.unwrap_or_else(empty_packet))
}

/// A sidecar that says nothing.
fn empty() -> String {
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}", empty_metadata())
}

/// A packet in a photo that says nothing: programs that don't know the photo's format find it by its first line (Adobe, "XMP
/// Specification Part 1", 7.3).
fn empty_packet() -> String {
    format!(
        "<?xpacket begin=\"\u{feff}\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>\n{}<?xpacket end=\"w\"?>",
        empty_metadata()
    )
}

fn empty_metadata() -> String {
    format!(
        "<x:xmpmeta xmlns:x=\"adobe:ns:meta/\" x:xmptk=\"longclip\">\n \
         <rdf:RDF xmlns:rdf=\"{RDF}\">\n  \
         <rdf:Description rdf:about=\"\"/>\n \
         </rdf:RDF>\n\
         </x:xmpmeta>\n"
    )
}

/// The text with these tags added; `None` if it has them all. A tag that an earlier run added and the user removed stays out.
///
/// # Errors
/// What is wrong with the text, in words.
pub fn tagged(text: &str, tags: &[TagPath]) -> Result<Option<String>, String> {
    let packet = read(text)?;
    let mut edit = Edit::new(text, &packet);
    let mut lists: Vec<(usize, Vec<String>)> = Vec::new();
    for (i, keywords) in keywords(tags).into_iter().enumerate() {
        let known: HashSet<&str> = [i, i + N_LISTS].into_iter().flat_map(|i| packet.texts(i)).collect();
        let new: Vec<String> = keywords.into_iter().filter(|new| !known.contains(&**new)).collect();
        lists.extend([(i, new.clone()), (i + N_LISTS, new)]);
    }
    lists.retain(|(_, new)| !new.is_empty());
    if lists.is_empty() {
        return Ok(None);
    }
    // Ours come after the others.
    lists.sort_by_key(|(i, _)| *i);
    edit.add(&lists)?;
    let edited = edit.done();
    let after = read(&edited)?;
    let has = |(i, new): &(usize, Vec<String>)| new.iter().all(|new| after.texts(*i).any(|text| text == new));
    match lists.iter().all(has) {
        true => Ok(Some(edited)),
        false => Err("its lists of keywords can't be found again after an edit".into()),
    }
}

/// Whether the text has keywords that every program reads.
///
/// # Errors
/// What is wrong with the text, in words.
pub(super) fn has_names(text: &str) -> Result<bool, String> {
    Ok(read(text)?.texts(0).next().is_some())
}

/// The result of removing our tags from a sidecar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Untagged {
    /// It has none of ours.
    Unchanged,
    /// The new text.
    Text(String),
    /// It said nothing else, and was made by this program.
    Nothing,
}

/// The text without the tags that earlier runs added.
///
/// # Errors
/// What is wrong with the text, in words.
pub fn untagged(text: &str) -> Result<Untagged, String> {
    let packet = read(text)?;
    let mut edit = Edit::new(text, &packet);
    let mut has_ours = false;
    for i in 0..N_LISTS {
        let Some(ours) = &packet.lists[i + N_LISTS] else {
            continue;
        };
        has_ours = true;
        let ours_texts: HashSet<&str> = packet.texts(i + N_LISTS).collect();
        if let Some(list) = &packet.lists[i] {
            edit.cut_items(list, &ours_texts);
        }
        edit.cut(ours.property.all.clone());
    }
    if !has_ours {
        return Ok(Untagged::Unchanged);
    }
    edit.close_if_empty();
    let edited = edit.done();
    read(&edited)?;
    Ok(match edited == empty() || edited == empty_packet() {
        true => Untagged::Nothing,
        false => Untagged::Text(edited),
    })
}

/// What each list of keywords gets: plain names, paths with `|` as Lightroom writes them, paths with `/` as digiKam does.
pub fn keywords(tags: &[TagPath]) -> [Vec<String>; N_LISTS] {
    let is_lowest = |tag: &&TagPath| !tags.iter().any(|other| tag.is_above(other));
    let paths: Vec<&TagPath> = tags.iter().filter(is_lowest).collect();
    let joined = |separator: char| -> Vec<String> {
        // A name with a separator in it would be two levels.
        let part = |name: &String| name.replace(separator, "-");
        let path = |tag: &&TagPath| tag.0.iter().map(part).collect::<Vec<_>>().join(&separator.to_string());
        without_repeats(paths.iter().map(path))
    };
    let names = without_repeats(tags.iter().map(|tag| tag.name().to_owned()));
    [names, joined('|'), joined('/')]
}

fn without_repeats(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut known = HashSet::new();
    texts.filter(|text| known.insert(text.clone())).collect()
}

impl Packet {
    /// The keywords of a list.
    fn texts(&self, i: usize) -> impl Iterator<Item = &str> {
        let items = self.lists[i].iter().flat_map(|list| &list.items);
        items.filter_map(|item| item.text.as_deref())
    }
}

/// Changes of a text, at positions of the text as it was.
struct Edit<'a> {
    text: &'a str,
    packet: &'a Packet,
    changes: Vec<(Range<usize>, String)>,
}

impl<'a> Edit<'a> {
    fn new(text: &'a str, packet: &'a Packet) -> Self {
        Edit {
            text,
            packet,
            changes: Vec::new(),
        }
    }

    /// The white space before a position: the line break and the indent of what begins there.
    fn lead(&self, at: usize) -> &'a str {
        let before = self.text[..at].trim_end_matches([' ', '\t', '\n', '\r']);
        &self.text[before.len()..at]
    }

    /// Adds keywords to lists, each by its number, and makes the lists that the text lacks.
    fn add(&mut self, lists: &[(usize, Vec<String>)]) -> Result<(), String> {
        let mut new = Vec::new();
        for (i, keywords) in lists {
            match &self.packet.lists[*i] {
                Some(list) => self.add_items(*i, list, keywords)?,
                None => new.push((*i, keywords)),
            }
        }
        if new.is_empty() {
            return Ok(());
        }
        let rdf = self.packet.rdf.as_ref().ok_or("it has no `rdf:RDF`")?;
        let prefix = rdf.prefix();
        let Some(description) = &self.packet.description else {
            let indent = deeper(self.lead(rdf.all.start), 1);
            let lists: String = new
                .iter()
                .map(|(i, list)| property(*i, list, &indent, prefix))
                .collect();
            let element = format!(
                "{indent}<{prefix}Description {about}=\"\">{lists}{indent}</{prefix}Description>",
                about = if prefix.is_empty() {
                    "about".to_owned()
                } else {
                    format!("{prefix}about")
                },
            );
            self.append(rdf, &element);
            return Ok(());
        };
        let indent = self.lead(description.all.start);
        let lists: String = new
            .iter()
            .map(|(i, list)| property(*i, list, indent, description.prefix()))
            .collect();
        self.append(description, &lists);
        Ok(())
    }

    /// Puts text at the end of an element, before the white space of its end tag.
    fn append(&mut self, element: &Element, inserted: &str) {
        match &element.inside {
            Some(inside) => {
                let at = (inside.end - self.lead(inside.end).len()).max(inside.start);
                self.changes.push((at..at, inserted.to_owned()));
            }
            None => {
                let end = element.all.end;
                let indent = self.lead(element.all.start);
                let opened = format!(">{inserted}{indent}</{}>", element.name);
                self.changes.push((end - "/>".len()..end, opened));
            }
        }
    }

    fn add_items(&mut self, i: usize, list: &List, keywords: &[String]) -> Result<(), String> {
        let rdf = self.packet.rdf.as_ref().ok_or("it has no `rdf:RDF`")?;
        let Some(container) = &list.container else {
            let indent = self.lead(list.property.all.start);
            let lines = container(PROPERTIES[i].list, keywords, indent, rdf.prefix());
            self.append_in(&list.property, &lines);
            return Ok(());
        };
        let prefix = container.prefix();
        match list.items.last() {
            Some(last) => {
                let lead = self.lead(last.all.start);
                let items: String = keywords.iter().map(|word| item(word, lead, prefix)).collect();
                self.changes.push((last.all.end..last.all.end, items));
            }
            None => {
                let lead = deeper(self.lead(container.all.start), 1);
                let items: String = keywords.iter().map(|word| item(word, &lead, prefix)).collect();
                self.append_in(container, &items);
            }
        }
        Ok(())
    }

    /// As [`Edit::append`], in place of the white space inside an element that has no children.
    fn append_in(&mut self, element: &Element, inserted: &str) {
        match &element.inside {
            Some(inside) if self.text[inside.clone()].trim().is_empty() => {
                let inserted = format!("{inserted}{}", self.lead(element.all.start));
                self.changes.push((inside.clone(), inserted));
            }
            _ => self.append(element, inserted),
        }
    }

    /// Cuts a range with the white space before it.
    fn cut(&mut self, range: Range<usize>) {
        let start = range.start - self.lead(range.start).len();
        self.changes.push((start..range.end, String::new()));
    }

    /// Cuts these keywords out of a list, and the whole list if nothing is left in it.
    fn cut_items(&mut self, list: &List, ours: &HashSet<&str>) {
        let is_ours = |text: &Option<String>| text.as_deref().is_some_and(|text| ours.contains(text));
        if list.items.iter().all(|item| is_ours(&item.text)) {
            self.cut(list.property.all.clone());
            return;
        }
        for item in list.items.iter().filter(|item| is_ours(&item.text)) {
            self.cut(item.all.clone());
        }
    }

    /// Makes the description `<.../>` again if nothing is left in it.
    fn close_if_empty(&mut self) {
        let Some(Element {
            all,
            inside: Some(inside),
            ..
        }) = &self.packet.description
        else {
            return;
        };
        let is_cut = |at: usize| self.changes.iter().any(|(range, _)| range.contains(&at));
        let mut inner = self.text[inside.clone()].char_indices();
        let is_left = |(at, c): (usize, char)| !c.is_whitespace() && !is_cut(inside.start + at);
        if !inner.any(is_left) {
            self.changes
                .retain(|(range, _)| range.end <= inside.start || range.start >= inside.end);
            let closing = inside.start - ">".len();
            self.changes.push((closing..all.end, "/>".into()));
        }
    }

    fn done(mut self) -> String {
        // Stable: what is inserted at one place keeps its order.
        self.changes.sort_by_key(|(range, _)| range.start);
        let mut edited = String::with_capacity(self.text.len() + 1024);
        let mut at = 0;
        for (range, inserted) in &self.changes {
            edited.push_str(&self.text[at..range.start]);
            edited.push_str(inserted);
            at = range.end;
        }
        edited + &self.text[at..]
    }
}

/// An indent that is `levels` deeper; nothing if the text has no line breaks here.
fn deeper(lead: &str, levels: usize) -> String {
    match lead.contains('\n') {
        true => lead.to_owned() + &" ".repeat(levels),
        false => String::new(),
    }
}

/// A property with its list, in a description with this indent. It declares its own prefix, which may be declared
/// differently around it.
fn property(i: usize, keywords: &[String], indent: &str, rdf: &str) -> String {
    let property = &PROPERTIES[i];
    let (prefix, name, namespace) = (property.prefix, property.name, property.namespace);
    let lead = deeper(indent, 1);
    let list = container(property.list, keywords, &lead, rdf);
    format!("{lead}<{prefix}:{name} xmlns:{prefix}=\"{namespace}\">{list}{lead}</{prefix}:{name}>")
}

/// A list in a property with this indent.
fn container(list: &str, keywords: &[String], indent: &str, rdf: &str) -> String {
    let (lead, inner) = (deeper(indent, 1), deeper(indent, 2));
    let items: String = keywords.iter().map(|word| item(word, &inner, rdf)).collect();
    format!("{lead}<{rdf}{list}>{items}{lead}</{rdf}{list}>")
}

fn item(keyword: &str, lead: &str, rdf: &str) -> String {
    let keyword = quick_xml::escape::partial_escape(keyword);
    format!("{lead}<{rdf}li>{keyword}</{rdf}li>")
}

#[cfg(test)]
mod tests;
