//! What clients did and what they were told, with times.

/// A moment of the run: any unit, as long as one clock of the observer gave all of them (never a client's or node's own).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct At(pub u64);

/// An operation of one [`History`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OpId(pub(crate) usize);

/// One operation: asked at `invoked`, answered at `returned`. It took effect somewhere in between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation<Op, Ret> {
    /// Who asked; only shown, never judged by.
    pub client: u64,
    /// What was asked.
    pub op: Op,
    /// When.
    pub invoked: At,
    /// When and how it was answered. `None` is an open operation: it timed out, its client died, or the run ended. It may
    /// have taken effect at any time since, may do so later, or never.
    pub returned: Option<(At, Ret)>,
    /// Certainly never done.
    pub(crate) withdrawn: bool,
}

/// Everything that was done to one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History<Op, Ret> {
    operations: Vec<Operation<Op, Ret>>,
}

impl<Op, Ret> Default for History<Op, Ret> {
    fn default() -> Self {
        Self { operations: Vec::new() }
    }
}

impl<Op, Ret> History<Op, Ret> {
    /// Nothing happened yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A client asks for something; open until [`answer`](Self::answer).
    pub fn invoke(&mut self, client: u64, op: Op, at: At) -> OpId {
        self.operations.push(Operation { client, op, invoked: at, returned: None, withdrawn: false });
        OpId(self.operations.len() - 1)
    }

    /// The client hears `ret`.
    ///
    /// # Panics
    /// If it was answered already, or before it was asked: the recorder is broken, and so would be the verdict.
    pub fn answer(&mut self, id: OpId, ret: Ret, at: At) {
        let operation = &mut self.operations[id.0];
        assert!(operation.returned.is_none(), "operation {} was answered twice", id.0);
        assert!(operation.invoked <= at, "operation {} was answered at {at:?}, before it was asked", id.0);
        operation.returned = Some((at, ret));
    }

    /// The client knows for certain that nothing was done or will be (it was refused at the door): as if never asked.
    ///
    /// # Panics
    /// If it was answered.
    pub fn withdraw(&mut self, id: OpId) {
        let operation = &mut self.operations[id.0];
        assert!(operation.returned.is_none(), "operation {} was answered, it cannot be withdrawn", id.0);
        operation.withdrawn = true;
    }

    /// All operations, in the order they were recorded.
    pub fn operations(&self) -> &[Operation<Op, Ret>] {
        &self.operations
    }

    /// How many operations.
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }
}
