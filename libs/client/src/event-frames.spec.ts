import { type EventFrame, FrameParser } from './event-frames.js';

const STREAM =
  '\uFEFF: hello\n\nid: 1_a\n\nretry: 1500\r\nid: 2_b\r\nevent: order\r\ndata: {"a":\r\ndata:1}\r\n\r\nevent:other\rdata: x\r\rid: 3_c\ndata: cut off\n';
const FRAMES: EventFrame[] = [
  { event: 'message' },
  { event: 'message', id: '1_a' },
  { event: 'order', id: '2_b', retry: 1500, data: '{"a":\n1}' },
  { event: 'other', data: 'x' },
];

it.each([1, 2, 3, 7, 1000])('a stream in chunks of %i bytes has the same frames', (size) => {
  const bytes = new TextEncoder().encode(STREAM);
  const decoder = new TextDecoder();
  const parser = new FrameParser();

  const frames: EventFrame[] = [];
  for (let at = 0; at < bytes.length; at += size)
    frames.push(...parser.push(decoder.decode(bytes.subarray(at, at + size), { stream: true })));

  expect(frames).toEqual(FRAMES);
});
