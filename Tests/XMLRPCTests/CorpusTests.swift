import Glibc
import Testing
import XMLRPC

/// The files of Tests/Fuzz/Corpus/<parser>: seeds of the fuzz targets, and every input that once trapped.
private func corpus(_ parser: String) throws -> [(name: String, bytes: [UInt8])] {
  let tests = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(2).joined(separator: "/")
  let folder = "\(tests)/Fuzz/Corpus/\(parser)"
  let directory = try #require(opendir(folder), "\(folder)")
  defer { closedir(directory) }
  var files: [(name: String, bytes: [UInt8])] = []
  while let entry = readdir(directory) {
    let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
      String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
    if !name.hasPrefix(".") { files.append((name, try contents("\(folder)/\(name)"))) }
  }
  return files.sorted { $0.name < $1.name }
}

private func contents(_ path: String) throws -> [UInt8] {
  let file = try #require(fopen(path, "rb"), "\(path)")
  defer { fclose(file) }
  var bytes = [UInt8](repeating: 0, count: 1 << 20)
  bytes.removeLast(bytes.count - fread(&bytes, 1, bytes.count, file))
  return bytes
}

@Test func corpusOfRequestsIsReadInOneWay() throws {
  let files = try corpus("http-request")
  #expect(!files.isEmpty)
  for (name, bytes) in files {
    // The first byte tells the fuzz target where to cut.
    let input = Array(bytes.dropFirst())
    let whole = consumeAll([input])
    #expect(whole.requests.count + (whole.status == nil ? 0 : 1) > 0, "\(name)")
    for pieces in splits(input) {
      #expect(consumeAll(pieces) == whole, "\(name)")
      #expect(feedAll(pieces) == whole, "\(name)")
    }
  }
}

@Test func corpusOfForwardedHeadersIsReadWithinBounds() throws {
  let files = try corpus("forwarded-header")
  #expect(!files.isEmpty)
  for (name, bytes) in files {
    let value = String(decoding: bytes, as: UTF8.self)
    for header in ForwardedHeader.allCases {
      let hops = header.hops(in: [value])
      #expect(hops.map { $0.count <= ForwardedHeader.limitHops } ?? true, "\(name)")
      #expect(header.hops(in: [value, value]) == hops.map { $0 + $0 }, "\(name)")
    }
  }
}

@Test func corpusOfCallsIsReadTheSameAfterWriting() throws {
  let files = try corpus("xmlrpc")
  #expect(!files.isEmpty)
  for (name, bytes) in files {
    if let call = try? MethodCall.decode(bytes) {
      #expect(try MethodCall.decode(call.encode().bytes()) == call, "\(name)")
    } else if case .success(let value) = try? MethodResponse.decode(bytes) {
      #expect(try MethodResponse.decode(MethodResponse.encode(value).bytes()) == .success(value), "\(name)")
    }
  }
}

@Test func corpusOfCredentialsIsReadTheSameAfterWriting() throws {
  let files = try corpus("basic-auth")
  #expect(!files.isEmpty)
  for (name, bytes) in files {
    #expect(Base64.decode(Base64.encode(bytes)) == bytes, "\(name)")
    if let auth = BasicAuth.parse(String(decoding: bytes, as: UTF8.self)) {
      let token = Base64.encode(
        auth.password.isEmpty ? auth.user : auth.user + [UInt8(ascii: ":")] + auth.password)
      #expect(BasicAuth.parse("Basic " + String(decoding: token, as: UTF8.self)) == auth, "\(name)")
    }
  }
}
