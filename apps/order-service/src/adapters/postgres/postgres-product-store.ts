import { Injectable } from '@nestjs/common';
import { type Page, pageOf, type PageRequest } from '@twinbox/kernel';
import { DataSource, type EntityManager, In, MoreThan } from 'typeorm';
import { ProductStore } from '../../application/product-store.js';
import { Catalogue, type Product } from '../../domain/product.js';
import { productSchema } from './product-schema.js';

@Injectable()
export class PostgresProductStore extends ProductStore {
  constructor(private readonly dataSource: DataSource) {
    super();
  }

  override async catalogue(tx: EntityManager, productIds: readonly string[]): Promise<Catalogue> {
    return new Catalogue(await tx.findBy(productSchema, { id: In(productIds) }));
  }

  /** Served by the primary key. */
  override async list({ limit, cursor }: PageRequest): Promise<Page<Product>> {
    const rows = await this.dataSource.manager.find(productSchema, {
      ...(cursor !== undefined && { where: { id: MoreThan(cursor) } }),
      order: { id: 'asc' },
      take: limit + 1,
    });
    return pageOf(rows, limit, ({ id }) => id);
  }
}
