export { createDatabase, type TestDatabase, testBrokers, testServerUrl } from './database.js';
export { HOSTILE_SETTINGS, setForDatabase, setForRole } from './hostile-settings.js';
export { readEvent } from './read-event.js';
export { produce, type RawRecord, readTopic, type TopicReader } from './topic.js';
export { until } from './until.js';
