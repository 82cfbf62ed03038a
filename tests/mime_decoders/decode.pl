# Reads header values (base64), one a line; writes what Encode::MIME::Header reads in each, in the same form.
use strict;
use warnings;
use Encode qw(decode encode);
use Encode::MIME::Header;
use MIME::Base64 qw(decode_base64 encode_base64);

while (my $line = <STDIN>) {
    print encode_base64(encode('UTF-8', decode('MIME-Header', decode_base64($line))), ''), "\n";
}
