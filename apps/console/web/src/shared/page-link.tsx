import { Anchor, type AnchorProps } from '@mantine/core';
import { createLink } from '@tanstack/react-router';
import { type ComponentProps } from 'react';

function StyledAnchor(props: AnchorProps & Omit<ComponentProps<'a'>, keyof AnchorProps>) {
  return <Anchor {...props} />;
}

/** A link to another page of the console. */
export const PageLink = createLink(StyledAnchor);
