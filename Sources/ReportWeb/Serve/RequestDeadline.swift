#if Web
  import HTTPTypes
  import NIOCore
  import NIOHTTPTypes

  /// Closes a connection whose request does not arrive in time, byte by byte included, or whose answer is not taken.
  final class RequestDeadline: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private var timer: Scheduled<Void>?

    func handlerAdded(context: ChannelHandlerContext) { begin(context, WebLimit.requestSeconds) }
    func handlerRemoved(context: ChannelHandlerContext) { timer?.cancel() }

    func channelInactive(context: ChannelHandlerContext) {
      timer?.cancel()
      context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      // What the database needs is not the client's fault.
      if case .end = unwrapInboundIn(data) { timer?.cancel() }
      context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
      switch unwrapOutboundIn(data) {
      case .head:
        begin(context, WebLimit.answerSeconds)
        context.write(data, promise: promise)
      case .body: context.write(data, promise: promise)
      case .end:
        let done = promise ?? context.eventLoop.makePromise()
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        done.futureResult.whenSuccess {
          let (handler, context) = bound.value
          handler.begin(context, WebLimit.requestSeconds)
        }
        context.write(data, promise: done)
      }
    }

    private func begin(_ context: ChannelHandlerContext, _ seconds: Int64) {
      timer?.cancel()
      let channel = context.channel
      guard channel.isActive else { return }
      timer = context.eventLoop.scheduleTask(in: .seconds(seconds)) { channel.close(promise: nil) }
    }
  }
#endif
