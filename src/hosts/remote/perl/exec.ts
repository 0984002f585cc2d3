/** The commands of a batch: locks, deadlines, sessions and control groups of their own, output in files without a name. Perl. */
export const execScript: string = String.raw`
sub scratch {
  for my $pattern (@runtime) {
    my @folders = $pattern;
    if ($pattern =~ m{^(.*)/\*$}) {
      opendir(my $folder, $1) or next;
      @folders = map { "$1/$_" } grep { !/^\./ } readdir $folder;
    }
    for my $folder (@folders) {
      next if !-d $folder || !-w _;
      my ($sizes) = statfs_of($folder);
      return $folder if defined $sizes && $sizes =~ /^(1021994|858458f6) /;
    }
  }
  return;
}

# A file without a name, so that nothing stays behind whoever ends first.
sub nameless {
  my $path = shift;
  sysopen(my $file, $path, O_RDWR | O_CREAT | O_EXCL, 0600) or return;
  unlink $path;
  return $file;
}

sub end_of {
  my $file = shift;
  my $size = -s $file;
  sysseek $file, $size > 65536 ? $size - 65536 : 0, 0;
  sysread $file, my $bytes, 65536;
  return $bytes;
}

# Out of the groups by which a service manager ends what a session has begun.
sub leave_groups {
  my $own = 1;
  for my $line (split /\n/, bytes_of('/proc/self/cgroup', 1048576) // '') {
    my ($id, $controllers, $group) = split /:/, $line, 3;
    my $kind = $id eq '0' && $controllers eq '' ? qr/- cgroup2 / : $controllers eq 'name=systemd' ? qr/- cgroup .*name=systemd/ : next;
    next if $group eq '/';
    my $way;
    for my $mount (split /\n/, bytes_of('/proc/self/mountinfo', 1048576) // '') {
      my (undef, undef, undef, $root, $point, $rest) = split / /, $mount, 6;
      next if $root ne '/' || $rest !~ $kind;
      $way = "$point/cgroup.procs";
      last;
    }
    my $is_first = (readlink('/proc/self/ns/cgroup') // '') eq 'cgroup:[4026531835]';
    my $file;
    $own = 0 if !(defined $way && $is_first && sysopen($file, $way, O_WRONLY) && syswrite $file, "0\n");
  }
  return $own;
}

sub own_session {
  return if $numbers && syscall($numbers->{setsid}) >= 0;
  require POSIX;
  POSIX::setsid();
}

# Whoever looks at a disk that has changed, such as udev, holds it for a moment.
sub lock_of {
  my $file = shift;
  for (my $tries = 0; $tries < 20; $tries += 1) {
    return 1 if flock $file, 6;
    return 0 if !$!{EAGAIN};
    select undef, undef, undef, 0.025;
  }
  $! = Errno::EAGAIN();
  return 0;
}

# Becomes the command. Locks are held by descriptors that it inherits, and end with it.
sub become {
  my ($told, $detached, $held, $program, @arguments) = @_;
  $SIG{PIPE} = 'DEFAULT';
  $SIG{CHLD} = 'DEFAULT';
  local $^F = 1024;
  my @locks;
  for my $path (@$held) {
    if (!sysopen(my $file, $path, O_RDONLY)) { syswrite $told, "unlockable\n"; exit 1 }
    elsif (!lock_of($file)) { syswrite $told, $!{EAGAIN} ? "locked\n" : "unlockable\n"; exit 1 }
    else { push @locks, $file }
  }
  if ($detached) {
    syswrite $told, 'own ' . leave_groups() . "\n";
    own_session();
  }
  exec { $program } $program, @arguments or syswrite STDERR, "$program: $!\n";
  exit($!{ENOENT} ? 127 : 126);
}

sub not_begun {
  my ($how, $why) = @_;
  mark 'r', $how, '-', '-';
  mark 'o';
  mark 'e';
  $output .= $why;
  $failed = 1;
}

our $count = 0;

# detached deadline accepted fed input number-of-locks number-of-arguments lock... argument...
sub execute {
  my ($detached, $deadline, $accepted, $fed, $bytes, $locks, undef, @rest) = @_;
  return not_begun('skipped', '') if $failed;
  my (%known, @held);
  for my $path (splice @rest, 0, $locks) {
    my @stat = stat $path or return not_begun('refused', "$path: cannot be locked: ENOENT");
    # Each file once: a second lock on it would wait for the first.
    push @held, $path if !$known{"$stat[0]:$stat[1]"}++;
  }
  my ($program, $why) = located(shift @rest);
  return not_begun($why, 'not found, or not a program') if !defined $program;
  my $folder = scratch();
  my $name = defined $folder ? "$folder/volume-expander-$B." . ++$count : '';
  my ($out, $err) = defined $folder ? (nameless("$name.o"), nameless("$name.e")) : ();
  if (!$out || !$err) {
    mark 'noscratch';
    flush_output();
    exit 1;
  }
  forget();
  mark 'b';
  flush_output();
  my ($how, $code, $own) = conduct($detached, $deadline eq '-' ? undef : $deadline, $fed ? $bytes : undef, $out, $err, \@held, $program, @rest);
  mark 'r', $how, $code, $own;
  mark 'o';
  $output .= end_of($out);
  mark 'e';
  $output .= end_of($err);
  $failed = 1 if $how ne 'exited' || !grep { $_ eq $code } split / /, $accepted;
}

# The end of a pipe from which the bytes can be read, whoever goes on meanwhile.
sub fed_with {
  my $bytes = shift;
  pipe my $from, my $to or exit 1;
  # A pipe takes a page at the least.
  if (length $bytes <= 4096) { syswrite $to, $bytes; return $from }
  my $pid = fork;
  exit 1 if !defined $pid;
  return $from if $pid != 0;
  open STDIN, '<', '/dev/null';
  open STDOUT, '>', '/dev/null';
  open STDERR, '>', '/dev/null';
  close $from;
  while (length $bytes) {
    my $written = syswrite $to, $bytes;
    if (defined $written) { substr($bytes, 0, $written) = '' } elsif (!$!{EINTR}) { last }
  }
  exit 0;
}

# How the command has ended, its code, and whether it left the caller's group.
sub conduct {
  my ($detached, $deadline, $feed, $out, $err, $held, @command) = @_;
  my $from;
  if (defined $feed) { $from = fed_with($feed) } else { sysopen $from, '/dev/null', O_RDONLY or exit 1 }
  pipe my $told, my $tell or exit 1;
  # The end of the command interrupts the waiting.
  local $SIG{CHLD} = sub { };
  my $pid = fork;
  exit 1 if !defined $pid;
  if ($pid == 0) {
    open STDIN, '<&', $from;
    open STDOUT, '>&', $out;
    open STDERR, '>&', $err;
    become($tell, $detached, $held, @command);
  }
  close $tell;
  close $from;
  my ($said, $is_told, $tries, $is_gone) = ('', 0, 0, 0);
  my $due = defined $deadline ? now() + $deadline : undef;
  my $own = sub { $said =~ /^own (\d)$/m ? $1 : '-' };
  for (;;) {
    if (waitpid($pid, 1) == $pid) {
      my $code = $? & 127 ? 128 + ($? & 127) : $? >> 8;
      exit 1 if $is_gone;
      1 while sysread $told, $said, 4096, length $said;
      return ($1, '-', '-') if $said =~ /^(locked|unlockable)$/m;
      return ($tries ? 'killed' : 'exited', $code, $own->());
    }
    my $time = now();
    if (defined $due && $time >= $due) {
      exit 1 if $is_gone && $tries >= 2;
      return ('running', '-', $own->()) if $detached || $tries >= 2;
      kill $tries ? 'KILL' : 'TERM', $pid;
      $tries += 1;
      $due = $time + 2;
    }
    my $ready = '';
    vec($ready, 0, 1) = 1 if !$is_gone;
    vec($ready, fileno $told, 1) = 1 if !$is_told;
    # A signal that comes right before the waiting does not interrupt it.
    my $pause = defined $due && $due - $time < 0.1 ? $due - $time : 0.1;
    next if select($ready, undef, undef, $pause) < 1;
    $is_told = 1 if vec($ready, fileno $told, 1) && !sysread $told, $said, 4096, length $said;
    next if $is_gone || !vec $ready, 0, 1;
    my $read = sysread STDIN, $input, 65536, length $input;
    next if $read || !defined $read && $!{EINTR};
    # Whoever sent this closes the input when it gives up or is lost: then nothing more is begun.
    exit 1 if $detached;
    kill 'TERM', $pid if !$tries;
    ($is_gone, $tries, $due) = (1, $tries || 1, $time + 2);
  }
}

# Seconds of a clock that nobody sets.
sub now {
  my ($seconds) = (bytes_of('/proc/uptime', 64) // '') =~ /^(\S+)/;
  return $seconds;
}
`
