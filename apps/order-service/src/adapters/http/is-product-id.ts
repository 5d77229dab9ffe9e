import { ApiProperty } from '@nestjs/swagger';
import { IsText } from '@twinbox/api-kit';
import { Matches } from 'class-validator';

export function IsProductId(): PropertyDecorator {
  return (target, key) => {
    ApiProperty({ example: 'tea-earl-grey', pattern: '^[a-z0-9-]+$', minLength: 1, maxLength: 64 })(target, key);
    IsText(1, 64)(target, key);
    Matches(/^[a-z0-9-]+$/, {
      message: `${String(key)} must consist of lower-case letters, digits and hyphens`,
    })(target, key);
  };
}
