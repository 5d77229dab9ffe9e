// Several statements in one transaction
export { allDone } from './postgres/all-done.js';
export { BatchedStatement } from './postgres/batched-statement.js';

// Several callers in one transaction
export { Gather } from './postgres/gather.js';

// After the commit
export { AfterCommit } from './postgres/after-commit.js';

// Statements that run often
export { PREPARED, prepared } from './postgres/prepared.js';
