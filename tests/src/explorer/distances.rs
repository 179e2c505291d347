//! How many boots it takes at most, without further faults, until something has happened.

/// A boot that leads from one state to another.
#[derive(Clone, Copy)]
pub(super) struct Edge {
    pub(super) from: u32,
    /// [`DONE`] if there is nothing more to do.
    pub(super) to: u32,
}

/// Where it has happened.
pub(super) const DONE: u32 = u32::MAX;

/// More boots than any budget allows.
pub(super) const NEVER: u8 = 60;

/// How many steps it takes at most from each node until all is done; nodes without edges are done.
pub(super) fn distances(edges: &[Edge], nodes: usize) -> Vec<u8> {
    let mut distances = vec![0_u8; nodes];
    loop {
        let mut changed = false;
        for edge in edges.iter().rev() {
            let behind = distances.get(edge.to as usize).copied().unwrap_or(0);
            let distance = (behind + 1).min(NEVER);
            let place = &mut distances[edge.from as usize];
            if distance > *place {
                *place = distance;
                changed = true;
            }
        }
        if !changed {
            return distances;
        }
    }
}
