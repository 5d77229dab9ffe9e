import { TextInput } from '@mantine/core';
import { FilterForm } from '../shared/filters/filter-form.js';
import { fromLocal, toLocal } from '../shared/filters/local-time.js';
import { present } from '../shell/search-params.js';
import { paymentsSearch, type PaymentsSearch } from './payments-search.js';

interface MoreFiltersProps {
  readonly search: PaymentsSearch;
  readonly onChange: (search: PaymentsSearch) => void;
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
          ...paymentsSearch({ ...fields, createdFrom: fromLocal(createdFrom), createdTo: fromLocal(createdTo) }),
          ...always,
        })
      }
    >
      <TextInput name="customerId" label="Customer" defaultValue={others.customerId} />
      <TextInput name="orderId" label="Order id" defaultValue={others.orderId} />
      <TextInput
        name="amountMin"
        label="Amount from, in minor units"
        inputMode="numeric"
        defaultValue={others.amountMin}
      />
      <TextInput
        name="amountMax"
        label="Amount to, in minor units"
        inputMode="numeric"
        defaultValue={others.amountMax}
      />
      <TextInput
        name="createdFrom"
        label="Requested from"
        type="datetime-local"
        defaultValue={toLocal(others.createdFrom)}
      />
      <TextInput name="createdTo" label="Requested to" type="datetime-local" defaultValue={toLocal(others.createdTo)} />
    </FilterForm>
  );
}
