import { RequestBuffer } from './request-buffer.js';

describe('the buffer of a request', () => {
  it('keeps what was written when it grows', () => {
    const out = new RequestBuffer(Buffer.alloc(6), 4);

    out.int16(-2);
    out.string('é');
    out.int32(7);

    expect(out.from(4)).toEqual(Buffer.of(0xff, 0xfe, 0, 2, 0xc3, 0xa9, 0, 0, 0, 7));
  });

  it('leaves room for what is written later', () => {
    const out = new RequestBuffer(Buffer.alloc(0), 0);

    const at = out.skip(2);
    out.int16(1);
    out.bytes.writeInt16BE(9, at);

    expect(out.from(0)).toEqual(Buffer.of(0, 9, 0, 1));
  });
});
