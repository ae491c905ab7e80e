@testable import EventLoop
@testable import InstanceTags

/// Reads the bytes as what EC2 and the metadata service answer: no trap, bounds hold, and tags reach the server as they were read.
nonisolated func fuzzInstanceAnswer(_ bytes: [UInt8]) {
  if case .tags(let tags)? = try? DescribeInstances.page(bytes) {
    precondition(tags?.count ?? 0 <= DescribeInstances.tagLimit, "more tags than the limit")
    let size = (tags ?? []).reduce(0) { $0 + $1.name.utf8.count + $1.value.utf8.count }
    precondition(size <= DescribeInstances.tagBytes, "more bytes than the limit")
    let frame = TagMessages.frame(.tags(tags), to: 1)
    let answer = try? TagMessages.answer(TagMessages.Kind.tags, frame.dropFirst(FrameHeader.byteCount))
    precondition(answer == .tags(tags), "tags arrive otherwise")
  }
  if let failure = DescribeInstances.failure(bytes) {
    precondition(failure.code.unicodeScalars.count <= 100 && failure.message.unicodeScalars.count <= 300)
    precondition(!failure.message.unicodeScalars.contains { $0 == "\n" || $0.value < 0x20 }, "more than a line")
    _ = (failure.isTransient, failure.isOfKeys, failure.isOfTime)
  }
  if let given = InstanceCredentials(bytes) {
    precondition(!given.credentials.accessKey.isEmpty && !given.credentials.secretKey.isEmpty)
  }
  if let text = String(validating: bytes, as: UTF8.self), let endpoint = ServiceEndpoint(text) {
    precondition(ServiceEndpoint(endpoint.url) == endpoint, "an endpoint reads otherwise")
    precondition(!endpoint.host.isEmpty && endpoint.path.hasPrefix("/"))
  }
}

/// Reads the bytes behind the first one, which is the kind, as a message between the server and the program that asks EC2: what
/// was read is written and read again as the same.
nonisolated func fuzzTagMessage(_ bytes: [UInt8]) {
  guard let kind = bytes.first else { return }
  let payload = bytes.dropFirst()
  if let settings = try? TagMessages.settings(payload) {
    let again = try? TagMessages.settings(TagMessages.frame(settings).dropFirst(FrameHeader.byteCount))
    precondition(again == settings, "settings read otherwise")
  }
  if let answer = try? TagMessages.answer(kind, payload) {
    let again = try? TagMessages.answer(kind, TagMessages.frame(answer, to: 1).dropFirst(FrameHeader.byteCount))
    precondition(again == answer, "an answer reads otherwise")
  }
}
