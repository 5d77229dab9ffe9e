/** Outlines of 48 × 48, drawn for this shop, by the first word of a product's id. */
const PATHS: readonly (readonly [word: string, path: string])[] = [
  ['tea', 'M24 8c-9 6-12 13-9 21 8 1 16-3 18-13 1-4 0-7 0-7-3 1-6 0-9-1zM13 40c2-9 7-16 14-22'],
  ['coffee', 'M24 7c9 0 14 8 14 17s-5 17-14 17-14-8-14-17S15 7 24 7zM28 8c-8 7 2 14-4 20-3 3-4 8-2 12'],
  ['mug', 'M10 14h22v20a6 6 0 0 1-6 6H16a6 6 0 0 1-6-6zM32 18h4a5 5 0 0 1 0 14h-4M17 4c-2 3 2 3 0 6M25 4c-2 3 2 3 0 6'],
  [
    'pot',
    'M13 20h20v11a8 8 0 0 1-8 8h-4a8 8 0 0 1-8-8zM33 23c5-2 4-6 9-7M13 24c-8-1-8 10 1 10M18 20c0-6 10-6 10 0M23 11v3',
  ],
  ['kettle', 'M14 40h20l-2-20H16zM17 20c0-8 14-8 14 0M24 10V7M15 30c-9 0-3-15-10-16M33 23c7 0 7 10 1 11'],
  ['book', 'M9 10c6-2 11-1 15 3 4-4 9-5 15-3v27c-6-2-11-1-15 3-4-4-9-5-15-3zM24 13v27'],
  [
    'gift',
    'M8 18h32v8H8zM11 26h26v14H11zM24 18v22M24 18c-10 0-10-11-4-10 3 1 4 6 4 10zM24 18c10 0 10-11 4-10-3 1-4 6-4 10z',
  ],
  ['tin', 'M12 14v22c0 3 5 5 12 5s12-2 12-5V14M36 14c0 3-5 5-12 5s-12-2-12-5 5-5 12-5 12 2 12 5zM20 9V6h8v3'],
  ['scale', 'M8 20h32v18H8zM14 20v-4h20v4M19 29a5 5 0 0 1 10 0zM24 29l2-3'],
  ['grinder', 'M16 20h16l3 20H13zM18 20l-3-8h18l-3 8M24 12V7h11v4M20 30h8'],
  ['filter', 'M7 10h34L29 30v9H19v-9zM13 20h22'],
  [
    'whisk',
    'M24 6v14M20 6h8v14h-8zM20 20c-7 8-6 16-4 21M28 20c7 8 6 16 4 21M24 20v21M22 20c-3 8-3 14-2 21M26 20c3 8 3 14 2 21',
  ],
];

const PARCEL = 'M8 16l16-8 16 8v17l-16 8-16-8zM8 16l16 8 16-8M24 24v17M16 12l16 8';

/** A drawing of the kind of product. Its name beside it says the same. */
export function ProductPicture({ id }: { readonly id: string }) {
  return (
    <svg
      aria-hidden="true"
      width={52}
      height={52}
      viewBox="0 0 48 48"
      fill="none"
      stroke="currentColor"
      strokeWidth={1.8}
      strokeLinecap="round"
      strokeLinejoin="round"
    >
      <path d={PATHS.find(([word]) => id.startsWith(word))?.[1] ?? PARCEL} />
    </svg>
  );
}
