//! Who may speak: challenges, sessions, identity logs and links.
