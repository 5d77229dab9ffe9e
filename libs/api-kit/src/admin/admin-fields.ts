import { ApiProperty } from '@nestjs/swagger';

// What the schemas of the administration have in common: examples and kinds of properties.

export const AT = '2026-11-30T23:45:00.000Z';
export const AN_ID = '01939d3c-2f4a-7c3e-9d55-8a0f6a1b2c3d';

const described = (description: string | undefined) => (description === undefined ? {} : { description });

export const time = (description?: string): PropertyDecorator =>
  ApiProperty({ format: 'date-time', example: AT, ...described(description) });

export const timeOrNull = (description?: string): PropertyDecorator =>
  ApiProperty({ type: String, format: 'date-time', nullable: true, example: AT, ...described(description) });

export const textOrNull = (example: string | null, description?: string): PropertyDecorator =>
  ApiProperty({ type: String, nullable: true, example, ...described(description) });

export const count = (example: number, description?: string): PropertyDecorator =>
  ApiProperty({ type: 'integer', minimum: 0, example, ...described(description) });
