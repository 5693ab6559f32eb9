// A service of the package: a NestJS application that handles commands and events.
//
// node service.js '{"brokers": [..], "clientId": "..", "group": "..", "topics": [..]}'
import "reflect-metadata";

import { KafkaClientModule, KafkaConsumerModule } from "@makebelieve21213-packages/kafka-client";
import { LoggerModule } from "@makebelieve21213-packages/logger";
import { BadRequestException, Injectable, Module } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { RpcException } from "@nestjs/microservices";

import { answer, given, say } from "./lines.js";

const held = [];

/** Written as the package's README shows it. */
class Handler {
  async handleMessage(topic, message, headers) {
    say({ handled: { topic, message, headers } });
    const { type, payload } = message;
    switch (type) {
      case "ECHO":
        return payload;
      case "NOTHING":
        return undefined;
      case "ABOUT":
        return { userId: message.userId, headers };
      case "HOLD":
        return new Promise((release) => held.push(release));
      case "RPC_EXCEPTION":
        throw new RpcException(payload);
      case "MISSING":
        throw new RpcException({ statusCode: undefined, error: undefined, message: undefined });
      case "ERROR":
        throw Object.assign(new { Error, TypeError, BadRequestException }[payload.class](payload.message), payload.own);
      case "NO_ERROR":
        throw payload;
      default:
        if (headers["correlation-id"] === undefined) {
          return undefined;
        }
        throw new RpcException({ statusCode: 400, message: `Unknown command type: ${type}`, error: "ValidationError" });
    }
  }
}
Injectable()(Handler);

class HandlerModule {}
Module({ providers: [Handler], exports: [Handler] })(HandlerModule);

class Service {}
Module({
  imports: [
    LoggerModule,
    KafkaClientModule.forRootAsync({ useFactory: () => ({ brokers: given.brokers, clientId: given.clientId }) }),
    HandlerModule,
    KafkaConsumerModule.forRoot({
      topics: given.topics,
      groupId: given.group,
      messageHandler: Handler,
      imports: [HandlerModule],
    }),
  ],
})(Service);

const service = await NestFactory.createApplicationContext(Service, { abortOnError: false, logger: ["error"] });
answer({
  release: () => held.splice(0).forEach((release) => release()),
  stop: () => service.close(),
});
