export { MayBeAbsent, MayBeAbsentOrNull } from './absent.js';
export { InCapitals } from './codes.js';
export { IsId, isUuid } from './ids.js';
export { IsListOf } from './lists.js';
export { IsAmount, IsWholeNumber } from './numbers.js';
export { isStorable, IsText } from './text.js';
export { DAY_PATTERN, dayIn, IsTime, TIME_PATTERN, timeIn } from './times.js';
