import { versionConflictOf, type VersionPrecondition } from './version-precondition.js';

const updatedAt = new Date('2026-11-30T12:00:05.400Z');
const at = (time: string) => new Date(`2026-11-30T${time}Z`);

const conflictOf = (precondition: VersionPrecondition, actual: number) =>
  versionConflictOf(precondition, actual, updatedAt)?.rejection;

it.each<[string, VersionPrecondition, number]>([
  ['nothing is required', {}, 3],
  ['the version is expected', { expected: [3] }, 3],
  ['the version is one of several expected ones', { expected: [1, 3] }, 3],
  ['any version is accepted', { expected: '*' }, 3],
  ['another version is ruled out', { unexpected: [2] }, 3],
  ['nothing exists and nothing may', { unexpected: '*' }, 0],
  ['nothing exists, whatever versions are ruled out', { unexpected: [0, 1] }, 0],
  ['the last change is in the second of the date', { unmodifiedSince: at('12:00:05') }, 3],
  ['both conditions hold', { expected: [3], unexpected: [2] }, 3],
])('a change is allowed when %s', (_, precondition, actual) => {
  expect(conflictOf(precondition, actual)).toBeUndefined();
});

it.each<[string, VersionPrecondition, number, object]>([
  ['another version is expected', { expected: [2] }, 3, { expected: 2 }],
  ['the version is none of the expected ones', { expected: [1, 2] }, 3, { expected: [1, 2] }],
  ['no version is expected', { expected: [] }, 3, { expected: [] }],
  ['nothing exists', { expected: '*' }, 0, { expected: '*' }],
  ['nothing exists and version 0 is expected', { expected: [0] }, 0, { expected: 0 }],
  ['something exists but nothing may', { unexpected: '*' }, 3, { unexpected: '*' }],
  ['the version is ruled out', { unexpected: [3] }, 3, { unexpected: 3 }],
  ['the last change is after the date', { unmodifiedSince: at('12:00:04') }, 3, {}],
  ['the first condition fails', { expected: [2], unexpected: [3] }, 3, { expected: 2 }],
  ['the second condition fails', { expected: [3], unexpected: [3] }, 3, { unexpected: 3 }],
])('a change is rejected when %s', (_, precondition, actual, members) => {
  expect(conflictOf(precondition, actual)).toEqual({ code: 'version-conflict', actual, ...members });
});
