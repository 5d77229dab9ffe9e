import { applyDecorators, Delete, Get, HttpCode, Post, Put } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { RequireRole } from '../http/caller-guard.js';

/** The path under which operators see and repair messaging. */
export const ADMIN_PATH = 'admin/messaging';

interface RouteInfo {
  readonly operationId: string;
  readonly summary: string;
  readonly description?: string;
}

/** A route that every operator may call. It changes nothing. */
export const AdminGet = (path: string, info: RouteInfo): MethodDecorator =>
  applyDecorators(Get(path), RequireRole('operator'), described(info));

/** A route that only admins may call, because it changes something. */
export const AdminPost = (path: string, info: RouteInfo): MethodDecorator =>
  applyDecorators(Post(path), HttpCode(200), RequireRole('admin'), described(info));

/** Like {@link AdminPost}, for a change that may be repeated without an idempotency key. */
export const AdminPut = (path: string, info: RouteInfo): MethodDecorator =>
  applyDecorators(Put(path), RequireRole('admin'), described(info));

/** Like {@link AdminPut}. */
export const AdminDelete = (path: string, info: RouteInfo): MethodDecorator =>
  applyDecorators(Delete(path), RequireRole('admin'), described(info));

const described = (info: RouteInfo): MethodDecorator => applyDecorators(ApiTags('messaging'), ApiOperation(info));
