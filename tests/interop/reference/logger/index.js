// Stands in for the logger of kafka-client, which is not published: what the package asks of it, on standard error.
import { Global, Injectable, Module, Scope } from "@nestjs/common";

export class LoggerService {
  setContext(context) {
    this.context = context;
  }

  log(message) {
    console.error(`${this.context}: ${message}`);
  }

  warn(message) {
    console.error(`${this.context}, warning: ${message}`);
  }

  error(message, stack) {
    console.error(`${this.context}, error: ${message}\n${stack ?? ""}`);
  }
}
// A logger of its own for each service, as they name it after themselves.
Injectable({ scope: Scope.TRANSIENT })(LoggerService);

export class LoggerModule {}
Global()(LoggerModule);
Module({ providers: [LoggerService], exports: [LoggerService] })(LoggerModule);
