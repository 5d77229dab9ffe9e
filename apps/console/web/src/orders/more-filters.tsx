import { Checkbox, TextInput } from '@mantine/core';
import '@mantine/core/styles/Checkbox.css';
import { FilterForm } from '../shared/filters/filter-form.js';
import { fromLocal, toLocal } from '../shared/filters/local-time.js';
import { present } from '../shell/search-params.js';
import { ordersSearch, type OrdersSearch } from './orders-search.js';

interface MoreFiltersProps {
  readonly search: OrdersSearch;
  readonly onChange: (search: OrdersSearch) => void;
}

/** The filters that are needed less often. */
export function MoreFilters({ search, onChange }: MoreFiltersProps) {
  const { status, sort, ...others } = search;
  const always = present({ status, sort });
  return (
    <FilterForm
      key={JSON.stringify(others)}
      count={Object.keys(others).length}
      onClear={() => onChange(always)}
      onApply={({ createdFrom, createdTo, ...fields }) =>
        onChange({
          ...ordersSearch({ ...fields, createdFrom: fromLocal(createdFrom), createdTo: fromLocal(createdTo) }),
          ...always,
        })
      }
    >
      <TextInput name="customerId" label="Customer" defaultValue={others.customerId} />
      <TextInput name="productId" label="Product id" defaultValue={others.productId} />
      <TextInput
        name="totalMin"
        label="Total from, in minor units"
        inputMode="numeric"
        defaultValue={others.totalMin}
      />
      <TextInput name="totalMax" label="Total to, in minor units" inputMode="numeric" defaultValue={others.totalMax} />
      <TextInput
        name="createdFrom"
        label="Created from"
        type="datetime-local"
        defaultValue={toLocal(others.createdFrom)}
      />
      <TextInput name="createdTo" label="Created to" type="datetime-local" defaultValue={toLocal(others.createdTo)} />
      <Checkbox
        name="late"
        value="true"
        label="Only late orders"
        defaultChecked={others.late === 'true'}
        style={{ alignSelf: 'end' }}
      />
    </FilterForm>
  );
}
