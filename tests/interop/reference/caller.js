// A caller of the package: a NestJS application with its service for commands and events.
//
// node caller.js '{"brokers": [..], "clientId": "..", "replies": ".."}'
import "reflect-metadata";

import { KafkaClientModule, KafkaProducerModule, KafkaProducerService } from "@makebelieve21213-packages/kafka-client";
import { LoggerModule } from "@makebelieve21213-packages/logger";
import { Module } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";

import { answer, given } from "./lines.js";

const { brokers, clientId, replies } = given;

class Caller {}
Module({
  imports: [
    LoggerModule,
    KafkaClientModule.forRootAsync({ useFactory: () => ({ brokers, clientId, responseTopics: [replies] }) }),
    KafkaProducerModule.forRootAsync(),
  ],
})(Caller);

const caller = await NestFactory.createApplicationContext(Caller, { abortOnError: false, logger: ["error"] });
const producer = caller.get(KafkaProducerService, { strict: false });
answer({
  async call({ topic, message, timeout, headers }) {
    const data = await producer.sendCommand(topic, replies, message, timeout, headers);
    return { type: typeof data, data };
  },
  event: ({ topic, message }) => producer.sendFireAndForget(topic, message),
});
