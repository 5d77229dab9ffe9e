import { type AsyncApi, type ChannelObject, type MessageObject, type Reference } from './asyncapi.js';
import { type JsonSchema } from './json-schema.js';
import { type Change, schemaChanges } from './schema-changes.js';

/** A change that is allowed although it is incompatible, such as the removal of an optional field that nobody reads. */
export interface Exemption {
  /** The text of the change, as the check reports it. */
  readonly change: string;
  readonly reason: string;
}

/** A published document, with the version of its release. */
export interface Release {
  readonly version: string;
  readonly document: AsyncApi;
}

/**
 * Compares the document with every release, in both directions: consumers of each release must be able to read today's messages, and
 * today's consumers must be able to read the messages of each release (Confluent's `FULL_TRANSITIVE`). Compares each version of an event
 * with the one before it too, in one direction: a consumer that knows only the earlier version must be able to read the later one. Returns
 * what is wrong, and which exemptions are not needed.
 */
export function compatibilityProblems(
  document: AsyncApi,
  releases: readonly Release[],
  exemptions: readonly Exemption[],
): string[] {
  const found = new Map<string, { readonly change: Change; readonly versions: string[] }>();
  for (const { version, document: released } of releases)
    for (const change of changesSince(released, document)) {
      const { versions } = found.get(change.text) ?? { versions: [] };
      found.set(change.text, { change, versions: [...versions, version] });
    }
  const problems: string[] = [];
  for (const { change, versions } of found.values()) {
    const exemption = exemptions.find((candidate) => candidate.change === change.text);
    if (exemption && change.mayBeExempt && exemption.reason.trim() !== '') continue;
    const advice = change.mayBeExempt
      ? 'Undo it, or exempt it with a reason'
      : 'Undo it, or add a version of the event or an event of another type';
    problems.push(`${change.text}, which is incompatible with ${versions.join(', ')}. ${advice}.`);
  }
  for (const { text } of changesBetweenVersions(document))
    problems.push(`${text}. A new version may only add to the previous one. Undo it, or add an event of another type.`);
  for (const { change } of exemptions)
    if (!found.has(change)) problems.push(`The exemption "${change}" is not needed. Remove it.`);
  return problems;
}

function changesBetweenVersions({ components: { schemas } }: AsyncApi): Change[] {
  return Object.entries(schemas).flatMap(([name, schema]) => {
    const [, type, version] = /^(.+)\.v(\d+)$/.exec(name) ?? [];
    for (let n = Number(version) - 1; n > 0; n--) {
      const previous = schemas[`${type}.v${n}`];
      if (previous) return schemaChanges(`${name} as version ${n}`, previous, schema, 'later values');
    }
    return [];
  });
}

function changesSince(before: AsyncApi, after: AsyncApi): Change[] {
  const changes: Change[] = [];
  for (const [id, channel] of Object.entries(before.channels)) {
    const now = after.channels[id];
    if (now) changes.push(...topicChanges(channel, now));
    else changes.push({ text: `${channel.address}: removed the topic`, mayBeExempt: false });
  }
  for (const [id, message] of Object.entries(before.components.messages)) {
    const now = after.components.messages[id];
    if (now) changes.push(...messageChanges(id, [message, before], [now, after]));
  }
  return changes;
}

function* topicChanges(before: ChannelObject, after: ChannelObject): Generator<Change> {
  const { address } = before;
  const change = (text: string, mayBeExempt = false): Change => ({ text: `${address}: ${text}`, mayBeExempt });
  if (address !== after.address) yield change(`renamed the topic to ${after.address}`);
  const [was, is] = [before.bindings.kafka, after.bindings.kafka];
  // There is a procedure for it, which lets consumers handle all messages before keys move.
  if (was.partitions !== is.partitions)
    yield change(`changed the number of partitions from ${was.partitions} to ${is.partitions}`, true);
  const [policy, newPolicy] = [was, is].map(({ topicConfiguration }) => topicConfiguration['cleanup.policy'].join());
  if (policy !== newPolicy) yield change(`changed the cleanup policy from ${policy} to ${newPolicy}`);
  const [retention = 0, newRetention = 0] = [was, is].map(
    ({ topicConfiguration }) => topicConfiguration['retention.ms'],
  );
  if (newRetention < retention) yield change(`shortened the retention from ${retention} to ${newRetention} ms`);
  for (const name of Object.keys(before.messages)) if (!after.messages[name]) yield change(`removed ${name}`);
}

type Found = readonly [message: MessageObject, document: AsyncApi];

function* messageChanges(id: string, [before, old]: Found, [after, current]: Found): Generator<Change> {
  if (before.contentType !== after.contentType)
    yield {
      text: `${id}: changed the content type from ${before.contentType} to ${after.contentType}`,
      mayBeExempt: false,
    };
  const [key, newKey] = [before, after].map(({ bindings }) => bindings.kafka.key) as [JsonSchema, JsonSchema];
  if (key['x-field'] !== newKey['x-field'])
    yield { text: `${id}: changed the key from ${key['x-field']} to ${newKey['x-field']}`, mayBeExempt: false };
  yield* schemaChanges(`key of ${id}`, key, newKey);
  yield* schemaChanges(`headers of ${id}`, before.headers, after.headers);
  yield* schemaChanges(id, schemaIn(old, before.payload), schemaIn(current, after.payload));
}

function schemaIn({ components }: AsyncApi, { $ref }: Reference): JsonSchema {
  return components.schemas[$ref.replace('#/components/schemas/', '')] ?? {};
}
