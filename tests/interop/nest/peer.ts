// NestJS on the other side: `node -r ts-node/register/transpile-only peer.ts ARGUMENTS`, which are JSON.
//
// With `"serve": true` it has handlers, and prints each event that it gets. With `"asks": [TOPIC, ..]` it has two
// clients of one group that ask on these topics: `{"id", "client": 0, "topic", "data"}`, or with `"emit": true` tell.
import 'reflect-metadata';

import { createInterface } from 'node:readline';

import { Controller, Logger, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  ClientKafka,
  ClientProxyFactory,
  Ctx,
  EventPattern,
  KafkaContext,
  KafkaOptions,
  MessagePattern,
  MicroserviceOptions,
  Payload,
  RpcException,
  Transport,
} from '@nestjs/microservices';
import { lastValueFrom, Observable, of, toArray } from 'rxjs';

interface Arguments {
  brokers: string;
  prefix: string;
  serve?: boolean;
  asks?: string[];
}

const { brokers, prefix, serve, asks }: Arguments = JSON.parse(process.argv[2]);

// Standard output is for the test.
Logger.overrideLogger(['error', 'fatal']);

function print(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function options(name: string): KafkaOptions {
  return {
    transport: Transport.KAFKA,
    options: {
      client: { clientId: name, brokers: brokers.split(',') },
      consumer: { groupId: `${prefix}${name}`, maxWaitTimeInMs: 100 },
      // What is sent while the group is joined is not passed over.
      subscribe: { fromBeginning: true },
    },
  };
}

interface Order {
  account: string;
  number: number;
}

@Controller()
class Handlers {
  @MessagePattern(`${prefix}nest.order`)
  order(@Payload() order: Order, @Ctx() context: KafkaContext): object {
    const { key, headers } = context.getMessage();
    // Not as `key`: Nest takes an object with a `key` or a `value` for a whole record.
    return { ...order, recordKey: key, tenant: headers?.['x-tenant'], deadline: headers?.['deadline'] };
  }

  @MessagePattern(`${prefix}nest.sum`)
  sum(@Payload() numbers: number[]): number {
    return numbers.reduce((sum, number) => sum + number, 0);
  }

  @MessagePattern(`${prefix}nest.greet`)
  greet(@Payload() name: string): string {
    return `hello ${name}, you are a ${typeof name}`;
  }

  @MessagePattern(`${prefix}nest.nothing`)
  nothing(): void {}

  @MessagePattern(`${prefix}nest.several`)
  several(): Observable<number> {
    return of(1, 2, 3);
  }

  @MessagePattern(`${prefix}nest.fail`)
  fail(@Payload() how: string): never {
    switch (how) {
      case 'object':
        throw new RpcException({ statusCode: 409, error: 'Conflict', message: 'taken' });
      case 'text':
        throw new RpcException('no luck');
      default:
        throw new Error('a secret of the server');
    }
  }

  @EventPattern(`${prefix}nest.noted`)
  noted(@Payload() order: Order, @Ctx() context: KafkaContext): void {
    print({ event: order, key: context.getMessage().key });
  }
}

@Module({ controllers: [Handlers] })
class Service {}

interface Question {
  id: number;
  client: number;
  topic: string;
  data: unknown;
  emit?: boolean;
}

async function client(topics: string[]): Promise<ClientKafka> {
  const client = ClientProxyFactory.create(options('nest-caller')) as unknown as ClientKafka;
  topics.forEach((topic) => client.subscribeToResponseOf(prefix + topic));
  await client.connect();
  return client;
}

/** The partition on which a client reads its replies. */
function partition(client: ClientKafka, topic: string): number | undefined {
  return client.getConsumerAssignments()[`${prefix}${topic}.reply`];
}

/** Waits until each of two clients has a partition of its own: the second to join takes some of the first. */
async function shared(one: ClientKafka, other: ClientKafka, topics: string[]): Promise<void> {
  const isShared = (topic: string): boolean => {
    const partitions = [partition(one, topic), partition(other, topic)];
    return !partitions.includes(undefined) && partitions[0] !== partitions[1];
  };
  while (!topics.every(isShared)) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** All values until the Observable ends: one that stays open gives no answer. */
async function answer(client: ClientKafka, { id, topic, data, emit }: Question): Promise<void> {
  try {
    const values = emit ? client.emit(prefix + topic, data) : client.send(prefix + topic, data);
    const all = await lastValueFrom(values.pipe(toArray()));
    print({ id, result: { values: all, partition: partition(client, topic) } });
  } catch (error) {
    print({ id, error: error instanceof Error ? { thrown: error.message } : error });
  }
}

async function main(): Promise<void> {
  if (serve) {
    const service = await NestFactory.createMicroservice<MicroserviceOptions>(Service, options('nest-service'));
    await service.listen();
  }
  const clients: ClientKafka[] = [];
  if (asks) {
    clients.push(await client(asks), await client(asks));
    await shared(clients[0], clients[1], asks);
  }
  print({ ready: true });
  for await (const line of createInterface({ input: process.stdin })) {
    const question: Question = JSON.parse(line);
    void answer(clients[question.client], question);
  }
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
