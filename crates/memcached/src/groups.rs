//! What of a call is of one user, put together.

use std::collections::HashMap;

use stickystore_core::Subject;

/// A user and where it is asked for.
pub(crate) type Group<'a> = (&'a Subject, Vec<usize>);

/// Puts together what is of one user: the group of each place, and the groups in the order of their first places.
pub(crate) fn by_user<'a>(
    mut subjects: impl ExactSizeIterator<Item = &'a Subject>,
) -> (Vec<usize>, Vec<Group<'a>>) {
    if subjects.len() == 1 {
        return (vec![0], subjects.next().map(|subject| (subject, vec![0])).into_iter().collect());
    }
    let (mut groups, mut known) = (Vec::<Group<'a>>::new(), HashMap::new());
    let place = |(place, subject)| {
        let group = *known.entry(subject).or_insert(groups.len());
        match groups.get_mut(group) {
            Some((_, places)) => places.push(place),
            None => groups.push((subject, vec![place])),
        }
        group
    };
    let places = subjects.enumerate().map(place).collect();
    (places, groups)
}
