/** Does the items of one batch after the other, until the input ends. Perl. */
export const mainScript: string = String.raw`
my %items = (
  'file' => [1, \&file_of],
  'range' => [4, sub { my ($path, $unit, $skip, $count) = @_; given(scalar range_of($path, $unit * $skip, $unit * $count), "$!") }],
  'stat' => [1, \&stat_of],
  'statfs' => [1, \&sizes_of],
  'expect-file' => [2, \&expect_file],
  'expect-range' => [5, \&expect_range],
  'expect-stat' => [2, \&expect_stat],
  'tools' => [undef, sub { given((located($_))[0] // '') for @_ }],
  'exec' => [undef, \&execute],
  'storage' => [undef, \&storage],
  'text' => [1, \&text],
  'list' => [1, \&names],
  'bytes' => [1, sub { file_of($_[0]) if fact('bytes', $_[0]) }],
  'look' => [1, \&look],
  'sizes' => [1, \&sizes],
  'stretch' => [3, \&stretch],
  'direct' => [3, \&direct],
  'page' => [0, \&page_size],
  'lvm' => [0, \&report_lvm],
  'writable' => [1, \&writable],
  'users' => [4, \&users],
);

sub line {
  my $end;
  while (($end = index $input, "\n") < 0) {
    my $count = sysread STDIN, $input, 65536, length $input;
    next if !defined $count && $!{EINTR};
    return if !$count;
  }
  my $line = substr $input, 0, $end;
  substr($input, 0, $end + 1) = '';
  return $line;
}

# What stands before is for a shell.
while (($_ = line() // exit 1) ne '#go') { }
for (;;) {
  my @words;
  while (($_ = line() // exit 1) ne '#run') {
    s/^[.-]//;
    s/\\0([0-7]{3})/chr oct $1/ge;
    push @words, $_;
  }
  1 while waitpid(-1, 1) > 0;
  forget();
  ($B, undef, my $runtime, my $places, undef, my $keep, $failed, my @lists) = splice @words, 0, 10;
  @runtime = split / /, $runtime;
  @places = split / /, $places;
  @attributes = split / /, $lists[0];
  @slices = split / /, $lists[1];
  @ranges = split / /, $lists[2];
  mark 'perl';
  while (@words) {
    mark 'i';
    my $item = $items{shift @words} or exit 1;
    my ($count, $do) = @$item;
    $do->(splice @words, 0, $count // shift @words);
  }
  mark 'end';
  flush_output();
  exit 0 if !$keep;
  forget();
}
`
