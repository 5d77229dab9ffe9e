import { applyDecorators, Get, HttpCode, Post } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { RequireRole } from '../http/caller-guard.js';

/** The path under which operators see and repair messaging. */
export const ADMIN_PATH = 'admin/messaging';

export interface RouteInfo {
  readonly operationId: string;
  readonly summary: string;
  readonly description?: string;
}

/** A route that every operator may call. It changes nothing. */
export const AdminGet = (path: string, info: RouteInfo): MethodDecorator =>
  applyDecorators(Get(path), RequireRole('operator'), ApiTags('messaging'), ApiOperation(info));

/** A route that only admins may call, because it changes something. */
export const AdminPost = (path: string, info: RouteInfo): MethodDecorator =>
  applyDecorators(Post(path), HttpCode(200), ForAdmins(info));

export const ForAdmins = (info: RouteInfo): MethodDecorator =>
  applyDecorators(RequireRole('admin'), ApiTags('messaging'), ApiOperation(info));
