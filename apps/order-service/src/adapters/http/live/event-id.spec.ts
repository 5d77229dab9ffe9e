import { resumePointOf } from './event-id.js';

const orderId = '01939d3c-2f4a-7c3e-9d55-8a0f6a1b2c3d';

describe('the id of an event', () => {
  it.each(['2t_c8f4', `5_c8f1_c8f4.c8f2_o${orderId}`, `5_c8f1_c8f4_c${orderId}`])(
    '%s is parsed regardless of case',
    (id) => {
      expect(resumePointOf(id)).toBeDefined();
      expect(resumePointOf(id.toUpperCase())).toEqual(resumePointOf(id));
    },
  );

  it.each(['', '2t', 'c8f4_', `5_c8f1_c8f4_o{${orderId}}`, `5_c8f1_c8f4_o${orderId.replaceAll('-', '')}`])(
    'is invalid: %j',
    (id) => {
      expect(resumePointOf(id)).toBeUndefined();
    },
  );
});
