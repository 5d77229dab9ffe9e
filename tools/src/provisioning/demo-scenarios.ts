/** What happens to a demo order, and so in which status it ends. */
export type Scenario =
  | 'cart'
  | 'discarded'
  | 'waiting'
  | 'paid'
  | 'finished'
  | 'declined'
  | 'cancelled'
  | 'cancelled by the shop'
  | 'refunded';

export interface DemoOrder {
  readonly customer: string;
  readonly scenario: Scenario;
  readonly description: string | null;
  readonly items: readonly { readonly productId: string; readonly quantity: number }[];
}

/** Describes a demo order. The items are products with optional quantities: `tea-assam 2, mug-stoneware`. */
function order(customer: string, scenario: Scenario, items: string, description: string | null = null): DemoOrder {
  const lines = items.split(', ').filter((line) => line !== '');
  const read = (line: string) => {
    const [productId = '', quantity = '1'] = line.split(' ');
    return { productId, quantity: Number(quantity) };
  };
  return { customer, scenario, description, items: lines.map(read) };
}

/** Varied in status, customer, product, total and currency, so that every filter finds something. The last one must be a cart of `demo`. */
export const DEMO_ORDERS: readonly DemoOrder[] = [
  order('ada', 'paid', 'tea-darjeeling 2, pot-glass', 'For the office on the second floor'),
  order('ada', 'paid', 'coffee-filter 4, filter-papers 2'),
  order('ada', 'finished', 'tea-earl-grey 3'),
  order('ada', 'finished', 'mug-stoneware 6, tea-assam', 'Gift-wrapped, please'),
  order('ada', 'waiting', 'kettle-gooseneck'),
  order('ada', 'declined', 'coffee-geisha'),
  order('ada', 'cancelled', 'grinder-hand'),
  order('ada', 'cart', 'tea-matcha, whisk-bamboo'),
  order('ada', 'paid', 'book-coffee-atlas'),
  order('grace', 'paid', 'tea-sencha 5'),
  order('grace', 'finished', 'pot-cast-iron, tea-oolong 2', 'Ring twice'),
  order('grace', 'finished', 'coffee-espresso 10', 'Coffee for the whole team'),
  order('grace', 'waiting', 'tea-rooibos 2, tea-peppermint 2'),
  order('grace', 'waiting', 'gift-card-100 2', 'For the raffle'),
  order('grace', 'declined', 'pot-cast-iron 3'),
  order('grace', 'refunded', 'scale-brewing'),
  order('grace', 'discarded', 'mug-travel 2'),
  order('grace', 'cancelled by the shop', 'tin-vintage 2'),
  order('grace', 'paid', 'gift-card-25'),
  order('linus', 'paid', 'coffee-espresso 2'),
  order('linus', 'paid', 'coffee-decaf'),
  order('linus', 'finished', 'mug-travel, coffee-filter'),
  order('linus', 'waiting', 'coffee-espresso 50, filter-papers 20', 'A whole conference is thirsty'),
  order('linus', 'declined', 'kettle-gooseneck, scale-brewing, pot-glass'),
  order('linus', 'cancelled', 'coffee-filter'),
  order('linus', 'cart', ''),
  order('linus', 'finished', 'book-tea-ways 2'),
  order('margaret', 'finished', 'tea-assam 10, tea-earl-grey 10', 'Leave it at the back door'),
  order('margaret', 'paid', 'tea-peppermint'),
  order('margaret', 'waiting', 'mug-stoneware 24', 'New mugs for the canteen'),
  order('margaret', 'refunded', 'gift-card-25 4'),
  order('margaret', 'cancelled', 'book-tea-ways'),
  order('demo', 'finished', 'tea-sencha, tea-oolong', 'The first order'),
  order('demo', 'paid', 'tea-earl-grey 2, mug-stoneware 2', 'Tea for two'),
  order('demo', 'paid', 'filter-papers'),
  order('demo', 'declined', 'coffee-espresso 10', 'Coffee for the office'),
  order('demo', 'waiting', 'mug-stoneware', 'A spare mug'),
  order('demo', 'waiting', 'book-coffee-atlas, tin-vintage', 'From overseas'),
  order('demo', 'cancelled', 'pot-glass 2'),
  order('demo', 'refunded', 'pot-cast-iron', 'Too heavy after all'),
  order('demo', 'cart', 'tea-darjeeling 2, tea-matcha', 'For the weekend'),
];
