#!/bin/sh
# Writes the seeds of all fuzz targets: a few inputs from which the fuzzer finds the rest. The
# layout of each input is in the documentation of its oracle, fuzz/oracles/<target>.rs.
set -eu
cd "$(dirname "$0")/corpus"

# seed TARGET/NAME BYTES: the bytes in the notation of printf, octal escapes included.
seed() {
    mkdir -p "$(dirname "$1")"
    # shellcheck disable=SC2059
    printf "$2" > "$1.seed"
}

# Cut, events before the client closes, bytes; \001 stands for a good answer to the opening handshake.
accept='Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo='
upgrade='HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
seed client/messages         '\002\377\001\201\002hi\202\003\000\001\002\212\001p\210\002\003\350'
seed client/fragments        '\001\377\001\001\001\303\211\001p\200\001\251\210\000'
seed client/closed_by_us     '\003\001\001\201\001a\201\001b\211\000\201\001c\210\005\003\350bye'
seed client/masked           '\001\377\001\201\201\001\002\003\004a'
seed client/violation        '\001\000\001\201\001a\303\000'
seed client/wrong_text       '\004\377\001\001\002\303\251\200\001\377'
seed client/too_big          '\004\377\001\202\176\000\311'
seed client/closed_badly     '\004\377\001\210\002\003\355'
seed client/subprotocol      "\005\377${upgrade}${accept}\r\nSec-WebSocket-Protocol: chat\r\n\r\n\201\002hi"
seed client/extension        "\005\377${upgrade}${accept}\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
seed client/wrong_accept     "\005\377${upgrade}Sec-WebSocket-Accept: AAAA\r\n\r\n"
seed client/interim          "\005\377HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${upgrade}${accept}\r\n\r\n\210\000"
seed client/refused          '\005\377HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\n\r\nsorry'
seed client/refused_chunked  '\005\377HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nbad\r\n0\r\n\r\n'
seed client/redirected       '\005\377HTTP/1.0 302 Found\r\nLocation: /b?c\r\n\r\n'

# Settings: 000 is a server with large limits, 001 a client; 002 and 003 the same with small ones.
hello_masked='\201\205\067\372\041\075\177\237\115\121\130'
seed decoder/hello_masked             "\000\001$hello_masked"
seed decoder/hello_unmasked           '\001\002\201\005Hello'
seed decoder/fragments_with_ping      '\001\003\001\003Hel\211\001p\200\002lo'
seed decoder/fragments_masked         '\000\004\001\201\001\000\000\000`\000\200\000\000\000\000\200\201\000\000\000\000b'
seed decoder/text_cut_in_a_character  '\001\005\001\001\303\200\001\251\201\004\360\237\230\200'
seed decoder/bad_text_unfinished      '\001\006\201\175a\377'
seed decoder/close_with_reason        '\001\007\210\005\003\350bye'
seed decoder/close_codes              '\001\010\210\002\003\355'
seed decoder/close_code_1014           '\001\010\210\002\003\366'
seed decoder/close_masked_empty       "\000\011$hello_masked\210\200\001\002\003\004"
seed decoder/length_16_bits           '\005\012\202\176\000\176aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'
seed decoder/length_not_minimal       '\001\013\202\176\000\003abc\201\000'
seed decoder/length_125_in_16_bits    '\001\013\202\176\000\175'
seed decoder/length_not_minimal_pong  '\001\013\212\176\000\003abc\201\000'
seed decoder/length_64_bits_announced '\001\014\202\177\000\000\000\000\000\001\000\000abc'
seed decoder/length_top_bit           '\000\015\202\377\200\000\000\000\000\000\000\000'
seed decoder/too_big                  '\003\016\001\020aaaaaaaaaaaaaaaa\200\001b'
seed decoder/too_many_fragments       '\003\017\001\000\000\000\000\000\000\000'
seed decoder/reserved_bit             '\001\020\301\000'
seed decoder/reserved_opcode          '\001\021\203\000'

# Mode, then for each message the length of its data and the data: the examples of RFC 7692 7.2.3, and bad ones.
seed inflate/hello          '\002\007\000\362\110\315\311\311\007\000'
seed inflate/takeover       '\001\007\000\362\110\315\311\311\007\000\005\000\362\000\021\000\000'
seed inflate/no_takeover    '\000\007\000\362\110\315\311\311\007\000\005\000\362\000\021\000\000'
seed inflate/stored         '\000\013\000\000\005\000\372\377Hello\000'
seed inflate/last_block     '\004\010\000\363\110\315\311\311\007\000\000'
seed inflate/two_blocks     '\044\015\000\362\110\005\000\000\000\377\377\312\311\311\007\000'
seed inflate/empty          '\000\001\000\000\000\000'
seed inflate/corrupt        '\000\003\000\377\377\377'
seed inflate/nothing_said   '\000\036\000\000\000\000\377\377\000\000\000\377\377\003\000\003\000\003\000\003\000\003\000\003\000\003\000\003\000\003\000\003\000'
# As many zeros as may come, and one more.
seed inflate/bomb           '\002\045\000\354\301\061\001\000\000\000\302\240\365\117\155\015\017\240\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\170\060\000\045\000\354\301\061\001\000\000\000\302\240\365\117\155\015\017\240\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\270\060\000'

# The value of Sec-WebSocket-Extensions.
seed offers/usual           'permessage-deflate; client_max_window_bits'
seed offers/all             'permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits="10"; client_max_window_bits=9'
seed offers/fallback        'permessage-deflate; server_max_window_bits=16, x-other; a=b, permessage-deflate;server_max_window_bits=8'
seed offers/repeated        'permessage-deflate; client_max_window_bits; client_max_window_bits'
seed offers/malformed       'permessage-deflate;; a="'

# Kind and repetition, cut, key, length, payload.
seed round_trip/text_and_binary  '\000\000\001\002\003\004\005Hello\006\200\005\006\007\010\003abc'
seed round_trip/fragmented_text  '\000\177\001\002\003\004\006\303\251\342\202\254x'
seed round_trip/sixteen_bits     '\067\100\011\012\013\014\020abcdefghijklmnop'
seed round_trip/sixty_four_bits  '\307\300\015\016\017\020\021abcdefghijklmnopq'
seed round_trip/pings_and_empty  '\014\000\001\001\001\001\001p\016\000\002\002\002\002\000\000\000\000\000\000\000\000\006\000\000\000\000\000\000'

# Cut, steps, bytes; \001 stands for a good opening handshake.
seed session/echo_twice        '\003\000\001\201\205\001\002\003\004Iggno\202\201\000\000\000\000b'
seed session/ping_close        '\001\002\000\010\001\211\201\000\000\000\000p\210\202\000\000\000\000\003\350'
seed session/violation         '\005\000\001\201\201\000\000\000\000a\203\200\000\000\000\000'
seed session/closed_by_us      '\377\004\000\000\006\001\001\201\201\000\000\000\000a\210\200\000\000\000\000'
seed session/slow_then_gone    '\377\004\000\005\004\011\001\001\201\000\000\000\000a'
seed session/requests          '\011\000GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n'
seed session/refused           '\001\000GET / HTTP/1.1\r\n\r\n'
