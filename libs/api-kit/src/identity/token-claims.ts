import type { JWTPayload } from 'jose';
import { type Role, roles } from '../http/caller.js';

/** A name that the identity provider uses for a role, and the role. */
export type RoleMapping = readonly [name: string, role: Role];

/** Where a token names its user and their roles. */
export interface ClaimNames {
  /** A claim, or a path of members with dots. */
  readonly userClaim: string;
  readonly rolesClaim: string;
  /** The names that the identity provider uses, each with a role of this service. */
  readonly roleMap: readonly RoleMapping[];
}

/** Returns the value of a claim. A name that is not a claim as a whole, as in `https://shop.example/roles`, is a path. */
export function claimOf(payload: JWTPayload, name: string): unknown {
  if (Object.hasOwn(payload, name)) return payload[name];
  return name.split('.').reduce<unknown>((value, member) => {
    const isObject = typeof value === 'object' && value !== null && Object.hasOwn(value, member);
    return isObject ? (value as Record<string, unknown>)[member] : undefined;
  }, payload);
}

/** Returns the roles that a token grants: an array of names, or names separated by spaces. Names that are not in the map grant nothing. */
export function grantedRoles(payload: JWTPayload, { rolesClaim, roleMap }: ClaimNames): Role[] {
  const claim = claimOf(payload, rolesClaim);
  const names: readonly unknown[] = typeof claim === 'string' ? claim.split(' ') : Array.isArray(claim) ? claim : [];
  return roleMap.filter(([name]) => names.includes(name)).map(([, role]) => role);
}

/** Parses an entry such as `shop-staff=operator`. */
export function roleMappingOf(entry: unknown): RoleMapping | undefined {
  const [, name, role] = (typeof entry === 'string' && /^(.+)=(\w+)$/.exec(entry)) || [];
  return name !== undefined && isRole(role) ? [name, role] : undefined;
}

function isRole(name: string | undefined): name is Role {
  return (roles as readonly (string | undefined)[]).includes(name);
}
