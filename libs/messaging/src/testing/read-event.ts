import { readMessage } from '../message/read-message.js';
import { type TopicContract } from '../message/topic.js';

/**
 * Reads event data exactly as an inbox does, and returns it as a handler receives it: an instance of the event's class. `dataschema` is the
 * `ce_dataschema` of the message, which names the version. For tests that a contract accepts what another team sends.
 * @throws Error with the violated rules, if an inbox would make the message a dead letter.
 */
export function readEvent(contract: TopicContract, type: string, data: unknown, dataschema?: string): object {
  const record = {
    topic: contract.name,
    partition: 0,
    offset: '0',
    timestamp: new Date(),
    key: Buffer.from('key'),
    value: Buffer.from(JSON.stringify(data)),
    headers: {
      ce_specversion: '1.0',
      ce_id: 'id',
      ce_source: '/test',
      ce_type: type,
      ...(dataschema !== undefined && { ce_dataschema: dataschema }),
    },
  };
  const reading = readMessage(record, contract);
  if (!reading.readable) throw new Error(reading.reason);
  return reading.message.data;
}
