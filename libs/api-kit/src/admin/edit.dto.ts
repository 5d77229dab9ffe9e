import { ApiProperty } from '@nestjs/swagger';
import { IsText } from '@twinbox/fields';
import { EditRefusedError } from '@twinbox/messaging';
import { problemOf } from '../http/problem.js';
import { adminProblems } from './admin-problems.js';
import { ReasonDto } from './reason.dto.js';

/** In characters. The body of a request is limited to about as many bytes. */
const MAX_TEXT = 100_000;

export class EditLetterDto extends ReasonDto {
  @ApiProperty({
    example: '{"total":900}',
    description:
      'The JSON text of the data, or in the structured mode of CloudEvents of the whole event. The contract of the event type must accept it.',
  })
  @IsText(1, MAX_TEXT)
  readonly payload!: string;
}

export class EditJobDto extends ReasonDto {
  @ApiProperty({
    example: '{"orderId":"01939d3c-2f4a-7c3e-9d55-8a0f6a1b2c3d"}',
    description: 'The JSON text of the data of the job.',
  })
  @IsText(1, MAX_TEXT)
  readonly data!: string;
}

/** Parses the data of a job. @throws EditRefusedError if it is not JSON */
export function jobDataIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new EditRefusedError('The data is not JSON');
  }
}

/** Turns what the library says about a refused edit into a problem. */
export async function accepted<T>(edit: () => Promise<T>): Promise<T> {
  try {
    return await edit();
  } catch (error) {
    if (error instanceof EditRefusedError)
      throw problemOf({ code: 'edit-invalid', reason: error.message.replace(/\.$/, '') }, adminProblems);
    throw error;
  }
}
