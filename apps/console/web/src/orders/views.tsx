import { Link } from '@tanstack/react-router';
import classes from './views.module.css';

/** The questions that people ask most about orders. */
export function Views() {
  const exact = { activeOptions: { exact: true, includeSearch: true }, className: classes['view'] };
  return (
    <nav aria-label="Views of orders" className={classes['views']}>
      <Link to="/orders" {...exact}>
        All
      </Link>
      <Link to="/orders" search={{ status: ['PLACED', 'PAYMENT_PENDING'] }} {...exact}>
        Waiting for payment
      </Link>
      <Link to="/orders" search={{ late: 'true' }} {...exact}>
        Late
      </Link>
      <Link to="/orders/stuck" {...exact}>
        Stuck
      </Link>
    </nav>
  );
}
