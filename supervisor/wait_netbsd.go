package supervisor

// waitContinued is not in x/sys. A child that goes on counts as suspended until its
// next change; nothing is decided by that.
const waitContinued = 0
